module github.com/netparts/netparts

go 1.26.0

require (
	go.uber.org/multierr v1.11.0
	golang.org/x/net v0.62.0
	golang.org/x/sys v0.49.0
)
