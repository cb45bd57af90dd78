//go:build !unix

package echo

// kernel returns nil: streams are echoed by the methods of the connection.
func (*stream) kernel() func() error { return nil }
