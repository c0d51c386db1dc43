package server

import (
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/metadata"
	"github.com/ktrial/ktrial/broker/wire"
	"github.com/ktrial/ktrial/sim/env"
)

// peer is a connection to a broker of the cluster, this one included: as in Kafka a
// broker asks itself over the network too. One task uses it at a time.
type peer struct {
	host     env.Host
	clientID string
	conn     *wire.Conn
}

// call has the broker at addr answer req, in the newest version. It connects if there
// is no connection, and ends it after an error. It blocks.
func (p *peer) call(addr string, req kmsg.Request, timeout time.Duration) (kmsg.Response, error) {
	if p.conn != nil && (p.conn.Addr() != addr || p.conn.Err() != nil) {
		p.close()
	}
	if p.conn == nil {
		conn, err := wire.Dial(p.host, addr, p.clientID, min(timeout, connectTimeout))
		if err != nil {
			return nil, err
		}
		p.conn = conn
	}
	resp, err := p.conn.Call(wire.Latest(req), timeout)
	if err != nil {
		p.close()
	}
	return resp, err
}

func (p *peer) close() {
	if p.conn != nil {
		p.conn.Close()
		p.conn = nil
	}
}

// aliveLeader is the leader of a partition of which an image says that it is alive; ok is false
// if there is none.
func aliveLeader(im *metadata.Image, tp kafka.TopicPartition) (id kafka.NodeID, at address, ok bool) {
	p := im.Partition(tp)
	if p == nil {
		return kafka.NoNode, address{}, false
	}
	broker := im.Broker(p.Leader)
	e, known := endpoint(broker)
	if !known || broker.Fenced {
		return kafka.NoNode, address{}, false
	}
	return p.Leader, address{e.Host, e.Port}, true
}
