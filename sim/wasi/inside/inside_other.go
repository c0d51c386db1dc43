//go:build !wasip1

package inside

import (
	"context"
	"net"
	"os"
	"os/signal"
	"syscall"
)

// Dial connects to a host.
func Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, network, addr)
}

// Stopping is closed when the program is asked to end.
func Stopping() <-chan struct{} {
	ctx, _ := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM) //nolint:govet // for good
	return ctx.Done()
}
