//go:build !linux

package httpmw

import (
	"net"
	"time"
)

// cutStalled does nothing: only Linux can end a connection whose peer stays silent while
// data waits for it, without a deadline for each write.
func cutStalled(net.Conn, time.Duration) {}
