// Package client is the other end of the wire: a producer, a consumer and an
// admin with the behaviour, the configuration names and the defaults of
// Kafka's own Java clients (4.1).
//
// Each of the three has its own connections and its own copy of the cluster's
// metadata, as in Java: nothing is shared between two clients of one process.
// A Client holds the addresses of the cluster and a client id, and makes the others.
//
// A consumer with a group.id is a member of a group (group.go), of a classic one
// (classic.go, join.go, leader.go) or one of KIP-848 (modern.go). What a member
// decides is in package member, which is pure; here are the requests, the timers and
// the calls of the application's listener.
package client

import (
	"github.com/ktrial/ktrial/sim/env"
)

// Client is where a process finds a cluster, and the name it asks under.
type Client struct {
	host      env.Host
	bootstrap []string
	id        string
}

// New names a cluster by some of its brokers ("host:port"). It connects to
// none: the clients it makes do, when they are first used.
func New(host env.Host, bootstrap []string, clientID string) *Client {
	return &Client{host: host, bootstrap: bootstrap, id: clientID}
}
