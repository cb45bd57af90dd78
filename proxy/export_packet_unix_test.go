//go:build unix

package proxy

// DialBound is what To does for Unix datagrams on other systems than Linux.
var DialBound = dialBound
