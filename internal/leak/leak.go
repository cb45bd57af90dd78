// Package leak tells tests what the process has in use.
package leak

import "runtime"

// InUse returns the bytes of the heap that are reachable, and the goroutines.
func InUse() (heap, goroutines int) {
	var m runtime.MemStats
	for range 3 { // pools are emptied by the second
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc), runtime.NumGoroutine()
}
