package wire

import (
	"fmt"
	"time"

	"github.com/ktrial/ktrial/broker/cost"
	"github.com/ktrial/ktrial/sim/env"
)

// Threads are those of a listener, as Kafka names them: each network thread reads and
// writes the connections that were given to it, one after the other; any io thread
// handles the requests in between, which wait for it in one queue.
type Threads struct {
	host     env.Host
	machine  env.Machine
	networks []networkThread
	io       env.Threads
}

// networkThread is a network thread with the way to the io threads.
type networkThread struct {
	of   *Threads
	self env.Threads
}

// NewThreads makes num.network.threads and num.io.threads, with queued.max.requests
// between them; nil if work is free on the host.
func NewThreads(host env.Host, network, io, queue int) *Threads {
	m := host.Machine()
	if m == nil {
		return nil
	}
	t := &Threads{host: host, machine: m, networks: make([]networkThread, network), io: m.Threads("io threads", io, queue)}
	for i := range t.networks {
		t.networks[i] = networkThread{of: t, self: m.Threads(fmt.Sprintf("network thread %d", i), 1, 0)}
	}
	return t
}

// network is the thread of a connection: they are given out in turn.
func (t *Threads) network(connection int64) *networkThread {
	return &t.networks[connection%int64(len(t.networks))]
}

// received is what a request costs before it is handled. The task has an io thread then.
func (n *networkThread) received(key int16, bytes int) {
	t := n.of
	from := t.host.Uptime()
	n.self.Enter()
	t.machine.Spend(env.Work{Kind: cost.NetworkRequest, N: 1}, env.Work{Kind: cost.NetworkByte, N: int64(bytes)})
	t.io.Queue() // with the queue full, Kafka's network thread stands still
	n.self.Leave()
	t.io.Enter()
	n.took(cost.Queueing, key, from, bytes)
	t.machine.Spend(env.Work{Kind: cost.IORequest, N: 1})
}

// handled gives the io thread back, if the request did not wait in purgatory.
func (n *networkThread) handled() { n.of.io.Leave() }

// answers is what an answer costs. It is encoded already: the task blocks.
func (n *networkThread) answers(key int16, bytes, received int) {
	n.handled()
	from := n.of.host.Uptime()
	n.self.Enter()
	n.of.machine.Spend(env.Work{Kind: cost.NetworkByte, N: int64(bytes)})
	n.self.Leave()
	n.took(cost.Answering, key, from, received)
}

// took counts what a stage took of a produce.
func (n *networkThread) took(stage env.Stage, key int16, from time.Duration, bytes int) {
	if key == keyProduce {
		n.of.machine.Took(stage, n.of.host.Uptime()-from, int64(bytes))
	}
}
