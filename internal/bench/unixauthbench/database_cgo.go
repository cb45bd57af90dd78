//go:build linux && cgo && !osusergo

package unixauthbench

// databaseWay says how os/user was built.
const databaseWay = "through the C library (cgo)"
