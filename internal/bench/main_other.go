//go:build !linux

// Bench measures the parts of this library side by side with their peers, on Linux alone:
// the CPU time of a process is read there, and the peers are those of Linux.
package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "bench: it measures on Linux alone")
	os.Exit(1)
}
