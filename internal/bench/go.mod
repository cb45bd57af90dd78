module github.com/netparts/netparts/internal/bench

go 1.26.0

require (
	github.com/netparts/netparts v0.0.0
	google.golang.org/protobuf v1.36.12
)

replace github.com/netparts/netparts => ../..
