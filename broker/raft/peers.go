package raft

import (
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/sim/env"
)

// peer is another voter, as this voter talks to it: votes, and the begin and
// end of epochs. Fetches have a connection of their own.
type peer struct {
	conn
	id   kafka.NodeID
	addr string
	task string
	wake env.Signal
	idle bool
	wait backoff

	since  time.Duration // when the request in flight was sent, or never
	silent bool          // the last request got no answer
}

func (n *Node) addPeers() {
	if !n.isVoter() {
		return
	}
	for _, v := range n.cfg.Voters {
		if v.ID != n.cfg.ID {
			n.peers = append(n.peers, &peer{
				id: v.ID, addr: v.Addr, task: fmt.Sprintf("raft to %d", v.ID),
				wake:  n.host.NewSignal(fmt.Sprintf("raft to %d", v.ID)),
				since: never,
			})
		}
	}
}

// talk is the task that says to a voter what the core wants it to know, one
// thing at a time.
func (n *Node) talk(p *peer) {
	for {
		n.enter()
		m, ok := n.core.Next(n.host.Uptime(), p.id)
		n.leave()
		if !ok {
			p.idle = true
			p.wake.Wait(env.Forever)
			p.idle = false
			continue
		}
		err := n.say(p, m)
		if p.silent = err != nil; p.silent {
			n.committed.Broadcast()
			n.host.Sleep(p.wait.next(n.cfg.Settings.RetryBackoff))
		} else {
			p.wait = 0
		}
	}
}

// say sends m and gives the core what came back.
func (n *Node) say(p *peer, m Message) error {
	c, err := p.dial(n, p.addr)
	if err != nil {
		return err
	}
	p.since = n.host.Uptime()
	resp, err := c.Call(n.request(m), n.cfg.Settings.RequestTimeout)
	p.since = never
	if err != nil {
		return err
	}
	n.enter()
	err = n.replied(p.id, m, resp)
	n.leave()
	return err
}

func (n *Node) replied(from kafka.NodeID, m Message, resp kmsg.Response) error {
	now := n.host.Uptime()
	if m.Vote != nil {
		reply, err := parseVoteResponse(resp.(*kmsg.VoteResponse))
		if err == nil {
			n.core.VoteReplied(now, from, *m.Vote, reply)
		}
		return err
	}
	var reply EpochReply
	var err error
	var epoch kafka.LeaderEpoch
	if m.Begin != nil {
		epoch = m.Begin.Epoch
		reply, err = parseBeginResponse(resp.(*kmsg.BeginQuorumEpochResponse))
	} else {
		epoch = m.End.Epoch
		reply, err = parseEndResponse(resp.(*kmsg.EndQuorumEpochResponse))
	}
	if err == nil {
		n.core.EpochReplied(now, from, epoch, reply)
	}
	return err
}

// hurryPeers gives up requests that have hung for a while when a new role or
// epoch makes them pointless: the next one would queue behind them.
func (n *Node) hurryPeers(now time.Duration) {
	for _, p := range n.peers {
		if p.since != never && now-p.since > hung {
			p.close()
		}
	}
}

// hung is much longer than any answer takes over a network that works.
const hung = 100 * time.Millisecond

// backoff is how long to wait after failures in a row: doubling, so that a
// member that is down for long costs little.
type backoff time.Duration

const maxBackoff = backoff(500 * time.Millisecond)

func (b *backoff) next(least time.Duration) time.Duration {
	*b = min(max(2**b, backoff(least)), maxBackoff)
	return time.Duration(*b)
}
