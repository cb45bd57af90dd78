//go:build !race

package udpio_test

// raceEnabled is whether this is the race detector's build.
const raceEnabled = false
