module github.com/netparts/netparts

go 1.26.0
