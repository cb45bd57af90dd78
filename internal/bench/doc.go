// Package bench measures the parts of this library side by side with the
// packages that people use today for the same jobs. It is a module of its own,
// so that no peer becomes a dependency of the library.
//
//	go test -run='^$' -bench=. -count=7
//
// Each benchmark runs ours and the peer in turn, in slices of the same work, so
// that both meet the same moods of the machine. It prints the time of one unit
// of each and the median of the ratios, and checks every result.
package bench
