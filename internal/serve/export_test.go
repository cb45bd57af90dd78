//go:build unix || windows

package serve

// Passing are the accept errors that the tests provoke.
var Passing = passing
