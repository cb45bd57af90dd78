//go:build race

package udpio_test

// raceEnabled is whether this is the race detector's build, in which a
// sync.Pool drops some of what it is given.
const raceEnabled = true
