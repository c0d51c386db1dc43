package raft

import (
	"fmt"
	"strings"

	"github.com/ktrial/ktrial/broker/wire"
)

// clientID is what requests of this node carry.
func (n *Node) clientID() string { return fmt.Sprintf("raft-client-%d", n.cfg.ID) }

// conn is a connection that is made when it is first needed.
type conn struct {
	c  *wire.Conn
	to string
}

// dial gives a live connection to addr. It blocks.
func (k *conn) dial(n *Node, addr string) (*wire.Conn, error) {
	if k.c != nil && k.to == addr && k.c.Err() == nil {
		return k.c, nil
	}
	k.close()
	c, err := wire.Dial(n.host, addr, n.clientID(), n.cfg.Settings.RequestTimeout)
	if err != nil {
		return nil, err
	}
	k.c, k.to = c, addr
	return c, nil
}

func (k *conn) close() {
	if k.c != nil {
		k.c.Close()
		k.c = nil
	}
}

// hostPort splits "host:port" for the endpoints in answers.
func hostPort(addr string) (host string, port uint16) {
	host, digits, _ := strings.Cut(addr, ":")
	for _, d := range digits {
		port = port*10 + uint16(d-'0')
	}
	return host, port
}
