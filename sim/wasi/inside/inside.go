// Package inside is for a program that is to run in a trial and is built without the
// overlay of `ktrial app build`, by the go command alone (GOOS=wasip1 GOARCH=wasm): when a
// Go release has moved what the overlay changes, or where none is wanted. Its client is
// given Dial, and the program waits for Stopping where it would call signal.Notify, which
// without the overlay spins for ever.
//
//	kgo.Dialer(inside.Dial)                               // franz-go
//	config.Net.Proxy.Enable, config.Net.Proxy.Dialer = true, inside.Dialer{} // sarama
//	kafka.Transport{Dial: inside.Dial}                    // kafka-go
//
// Elsewhere than in a trial it is the standard library's, so that one source serves both.
package inside

import (
	"context"
	"net"
)

// Dialer is Dial as clients want it that know a proxy.
type Dialer struct{}

// Dial connects to a host.
func (Dialer) Dial(network, addr string) (net.Conn, error) {
	return Dial(context.Background(), network, addr)
}

// DialContext connects to a host.
func (Dialer) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	return Dial(ctx, network, addr)
}
