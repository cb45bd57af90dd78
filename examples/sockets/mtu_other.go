//go:build !linux

package sockets

import (
	"context"
	"errors"
	"fmt"
	"runtime"
)

func (*MTUProbe) find(context.Context, string) (MTU, error) {
	return MTU{}, fmt.Errorf("%w on %s", errors.ErrUnsupported, runtime.GOOS)
}
