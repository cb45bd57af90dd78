//go:build linux && (!cgo || osusergo)

package unixauthbench

// databaseWay says how os/user was built.
const databaseWay = "in pure Go, which reads /etc/passwd and /etc/group (no cgo)"
