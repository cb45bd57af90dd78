package httpmw

// RestrictWork returns how many times f looks at a "%" to decode it.
func RestrictWork(f func()) (n int) {
	looked = func() { n++ }
	defer func() { looked = nil }()
	f()
	return n
}
