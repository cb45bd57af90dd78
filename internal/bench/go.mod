module github.com/netparts/netparts/internal/bench

go 1.26.0

require (
	github.com/netparts/netparts v0.0.0
	github.com/pin/tftp/v3 v3.2.0
	golang.org/x/sys v0.49.0
	google.golang.org/protobuf v1.36.12
	pack.ag/tftp v1.0.0
)

require golang.org/x/net v0.62.0 // indirect

replace github.com/netparts/netparts => ../..
