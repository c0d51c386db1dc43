package controller

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/metadata"
)

type nodes = []kafka.NodeID

// One line per rule: what the partition is, which brokers are alive, what is
// asked for, and what the change comes to.
func TestPartitionChange_Elections(t *testing.T) {
	for _, c := range []struct {
		rule   string
		leader kafka.NodeID
		isr    nodes
		elr    nodes
		last   nodes
		alive  nodes
		how    election
		noELR  bool
		want   string
	}{
		{rule: "a leader that may lead stays", leader: 2, isr: nodes{1, 2}, alive: nodes{1, 2, 3}, want: "nothing"},
		{rule: "the first of the replicas that is in sync", leader: 1, isr: nodes{3, 2, 1}, alive: nodes{2, 3}, want: "leader 2"},
		{rule: "the preferred one when asked for", leader: 2, isr: nodes{1, 2}, alive: nodes{1, 2}, how: preferred, want: "leader 1"},
		{rule: "not when it is out of sync", leader: 2, isr: nodes{2}, alive: nodes{1, 2}, how: preferred, want: "nothing"},
		{rule: "the ELR counts when the ISR is empty", leader: kafka.NoNode, elr: nodes{1, 3}, last: nodes{1}, alive: nodes{2, 3}, want: "leader 3 isr [3] elr [1] last []"},
		{rule: "and not before", leader: kafka.NoNode, isr: nodes{1}, elr: nodes{3}, alive: nodes{2, 3}, want: "nothing"},
		{rule: "the last known leader when no replica is eligible", leader: kafka.NoNode, last: nodes{2}, alive: nodes{1, 2}, want: "leader 2 isr [2] last [] recovering"},
		{rule: "if it is alive", leader: kafka.NoNode, last: nodes{2}, alive: nodes{1, 3}, want: "nothing"},
		{rule: "anyone alive, unclean", leader: kafka.NoNode, elr: nodes{1}, last: nodes{1}, alive: nodes{2, 3}, how: unclean, want: "leader 2 isr [2] elr [] last [] recovering"},
		{rule: "clean before unclean", leader: kafka.NoNode, elr: nodes{3}, last: nodes{1}, alive: nodes{2, 3}, how: unclean, want: "leader 3 isr [3] elr [] last []"},
		{rule: "none, if no replica is alive", leader: 1, isr: nodes{1}, alive: nil, how: unclean, want: "leader -1"},
		{rule: "before KIP-966 no ELR counts", leader: kafka.NoNode, isr: nodes{1}, elr: nodes{3}, alive: nodes{3}, noELR: true, want: "elr []"},
	} {
		p := &metadata.Partition{Replicas: nodes{1, 2, 3}, ISR: c.isr, ELR: c.elr, LastKnownELR: c.last, Leader: c.leader}
		change := begin(p)
		change.acceptable = func(id kafka.NodeID) bool { return slices.Contains(c.alive, id) }
		change.election, change.elrOn = c.how, !c.noELR
		assert.Equal(t, c.want, inWords(change.build()), c.rule)
	}
}

func TestPartitionChange_ISRAndELR(t *testing.T) {
	for _, c := range []struct {
		rule    string
		isr     nodes // was, with leader 1
		elr     nodes
		to      nodes // shall be
		minISR  int
		unclean kafka.NodeID
		noELR   bool
		want    string
	}{
		{rule: "above the minimum a replica that leaves is gone", isr: nodes{1, 2, 3}, to: nodes{1, 2}, minISR: 2, want: "isr [1 2]"},
		{rule: "below it, kept", isr: nodes{1, 2}, to: nodes{1}, minISR: 2, want: "isr [1] elr [2]"},
		{rule: "kept on", isr: nodes{1, 2}, elr: nodes{3}, to: nodes{1}, minISR: 3, want: "isr [1] elr [2 3]"},
		{rule: "but for the unclean", isr: nodes{1, 2}, elr: nodes{3}, to: nodes{1}, minISR: 3, unclean: 2, want: "isr [1]"},
		{rule: "an unclean member of the ELR leaves it", isr: nodes{1}, elr: nodes{2, 3}, to: nodes{1}, minISR: 3, unclean: 3, want: "elr [2]"},
		{rule: "a replica that joins the ISR leaves the ELR", isr: nodes{1}, elr: nodes{2, 3}, to: nodes{1, 2}, minISR: 3, want: "isr [1 2] elr [3]"},
		{rule: "at the minimum the ELR ends", isr: nodes{1}, elr: nodes{3}, to: nodes{1, 2}, minISR: 2, want: "isr [1 2] elr []"},
		{rule: "a minimum above the replicas is all of them", isr: nodes{1, 2}, elr: nodes{3}, to: nodes{1, 2, 3}, minISR: 5, want: "isr [1 2 3] elr []"},
		{rule: "a growing ISR raises no leader epoch, nor does a shrinking one", isr: nodes{1}, to: nodes{1, 2}, minISR: 1, want: "isr [1 2]"},
		{rule: "the last one out names the leader", isr: nodes{1}, to: nodes{}, minISR: 1, want: "leader -1 isr [] elr [1] last [1]"},
		{rule: "unclean, it leaves nothing but its name", isr: nodes{1}, to: nodes{}, minISR: 1, unclean: 1, want: "leader -1 isr [] last [1]"},
		{rule: "before KIP-966 it stays", isr: nodes{1}, to: nodes{}, minISR: 1, noELR: true, want: "leader -1"},
	} {
		p := &metadata.Partition{Replicas: nodes{1, 2, 3}, ISR: c.isr, ELR: c.elr, Leader: 1}
		change := begin(p)
		change.isr, change.minISR, change.elrOn = c.to, c.minISR, !c.noELR
		if c.unclean != 0 {
			change.uncleanShutdown = c.unclean
		}
		change.acceptable = func(id kafka.NodeID) bool { return id == 1 && slices.Contains(c.to, 1) }
		assert.Equal(t, c.want, inWords(change.build()), c.rule)
	}
}

func begin(p *metadata.Partition) partitionChange {
	return partitionChange{
		partition: p, replicas: p.Replicas, isr: p.ISR, uncleanShutdown: kafka.NoNode, elrOn: true, minISR: 2,
	}
}

func inWords(r *metadata.PartitionChangeRecord) string {
	if r == nil {
		return "nothing"
	}
	s := ""
	say := func(format string, args ...any) {
		if s != "" {
			s += " "
		}
		s += fmt.Sprintf(format, args...)
	}
	if r.Leader != metadata.NoLeaderChange {
		say("leader %d", r.Leader)
	}
	for _, list := range []struct {
		name  string
		nodes nodes
	}{{"isr", r.ISR}, {"elr", r.ELR}, {"last", r.LastKnownELR}, {"replicas", r.Replicas}} {
		if list.nodes != nil {
			say("%s %v", list.name, list.nodes)
		}
	}
	if r.Recovery == metadata.Recovering {
		say("recovering")
	}
	return s
}
