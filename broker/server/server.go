// Package server answers requests: on the broker listener those of clients and
// of other brokers' fetchers, on the controller listener those of brokers and
// of other controllers. One file per API says which versions it serves, how,
// and what is deliberately missing; it parses, asks the component that knows,
// and answers.
//
// The package also holds what makes a process a broker beside its replicas:
// Publisher, which follows the metadata log; Lifecycle, which registers the
// broker and sends its heartbeats; Channel, the way to the active controller.
package server

import (
	"fmt"
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/wire"
	"github.com/ktrial/ktrial/broker/witness"
	"github.com/ktrial/ktrial/sim/env"
)

// ListenerName is the only listener that brokers have. Kafka can have many,
// with TLS and SASL; a trial needs neither.
const ListenerName = "PLAINTEXT"

// routes is what one listener serves: a handler by API key.
type routes map[int16]wire.Handler

// on routes one kind of request to its handler.
func on[R kmsg.Request](r routes, handle func(*wire.Context, R) kmsg.Response) {
	var kind R
	r[kind.Key()] = func(ctx *wire.Context, req kmsg.Request) kmsg.Response {
		return handle(ctx, req.(R))
	}
}

// byKey is the same as a list: every request asks, and a map costs more.
func (r routes) byKey() []wire.Handler {
	keys := slices.Sorted(maps.Keys(r))
	list := make([]wire.Handler, keys[len(keys)-1]+1)
	for _, key := range keys {
		list[key] = r[key]
	}
	return list
}

// versions is the part of all that the routes serve.
func (r routes) versions(all wire.Versions) wire.Versions {
	served := all.Only(func(key int16) bool { return r[key] != nil })
	if len(served) != len(r) {
		panic(fmt.Sprintf("server: %d routes, but the listener's versions name %d of them", len(r), len(served)))
	}
	return served
}

// listen serves routes on a port, in a task of its own.
func (r routes) listen(host env.Host, s Settings, port int, all wire.Versions) (*wire.Server, error) {
	l, err := host.Listen(port)
	if err != nil {
		return nil, fmt.Errorf("server: listen on port %d: %w", port, err)
	}
	handlers := r.byKey()
	srv := &wire.Server{
		Host: host,
		Handler: func(ctx *wire.Context, req kmsg.Request) kmsg.Response {
			return handlers[ctx.Key](ctx, req)
		},
		Versions:        r.versions(all),
		MaxRequestBytes: s.MaxRequestBytes,
		Cost:            s.cost(),
		SendBuffer:      int(s.SendBuffer),
		ReceiveBuffer:   int(s.ReceiveBuffer),
		Threads:         wire.NewThreads(host, int(s.NetworkThreads), int(s.IOThreads), int(s.QueuedRequests)),
		Malformed: func(peer string, err error) {
			host.Tell(&witness.Malformed{Client: peer, Error: witness.ErrorOf(err)})
		},
	}
	host.Go("accept on "+fmt.Sprint(port), func() {
		if err := srv.Serve(l); err != nil {
			host.Tell(&witness.AcceptFailed{Error: witness.ErrorOf(err)})
		}
	})
	return srv, nil
}

func int32s(ids []kafka.NodeID) []int32 {
	out := make([]int32, len(ids))
	for i, id := range ids {
		out[i] = int32(id)
	}
	return out
}

func ptr[T any](v T) *T { return &v }
