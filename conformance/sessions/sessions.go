// Package sessions holds sessions of requests that were written by hand, or are drawn from a
// seed, and what Apache Kafka 4.4.0 answered to those by hand. They ask what no client library
// would: with fields that are unknown, empty, huge, twice there or illegal, in any version.
// A session is played with Kafka and with ours side by side, over TCP (conformance/diff), or with
// ours alone, whose answers are compared with the transcript: over TCP in the tests, and inside
// of a simulation (workloads.Answers).
package sessions

import (
	"embed"
	"errors"
	"io"
	"strings"
	"time"

	"github.com/ktrial/ktrial/sim/env"
)

// Network is how a session reaches a cluster, and its clocks.
type Network interface {
	Dial(addr string) (Conn, error)
	// Name is the address of this host, as brokers see it.
	Name() string
	// Now is the wall clock, Uptime the one that deadlines are measured by.
	Now() env.Time
	Uptime() time.Duration
	Sleep(time.Duration)
}

// Conn is a connection to a broker. A read fails with env.ErrTimeout once the deadline has
// passed, which is an Uptime.
type Conn interface {
	io.ReadWriteCloser
	SetReadDeadline(uptime time.Duration)
}

// On is the network of a host, simulated or not.
func On(h env.Host) Network { return onHost{h} }

type onHost struct{ env.Host }

func (n onHost) Dial(addr string) (Conn, error) {
	c, err := n.Host.Dial(addr, connecting)
	if err != nil {
		return nil, err
	}
	return c, nil
}

// connecting is how long a broker may take to accept a connection.
const connecting = 5 * time.Second

//go:embed testdata
var recorded embed.FS

//go:embed settings
var settings string

// Settings are those that the clusters of sessions have, so that groups are quick and have one
// coordinator, by Kafka's names.
func Settings() map[string]string {
	set := map[string]string{}
	for _, line := range strings.Fields(settings) {
		name, value, _ := strings.Cut(line, "=")
		set[name] = value
	}
	return set
}

// Transcript is what Kafka answered to a session by hand, or a session that was drawn.
func Transcript(name string) (*Script, error) {
	text, err := recorded.ReadFile("testdata/" + name + ".txt")
	if err != nil {
		return nil, err
	}
	return readScript(name, string(text))
}

func failure(err error) string {
	if errors.Is(err, env.ErrTimeout) {
		return "timeout"
	}
	return "closed"
}
