package trial

import (
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/witness"
	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/reports"
)

// marks are the moments at which the cluster changed, and at which a phase of
// the run began, for the picture of the run.
func marks(l *ledger.Ledger) []reports.Mark {
	m := marker{isr: map[kafka.TopicPartition]int{}}
	for e := range l.Notable() {
		m.read(e)
	}
	return m.all
}

type marker struct {
	all []reports.Mark
	isr map[kafka.TopicPartition]int // how many were in sync, as far as is known
}

func (m *marker) read(e *ledger.Entry) {
	mark := func(kind reports.MarkKind, text string) {
		m.all = append(m.all, reports.Mark{At: reports.Seconds(e.At), Kind: kind, Text: text})
	}
	switch event := e.Event.(type) {
	case *WorkBegan, *HealingBegan:
		mark(reports.Phase, e.Event.Sentence())
	case *witness.ControllerActive:
		mark(reports.NewController, "")
	case *witness.LeaderChosen:
		if event.Leader == kafka.NoNode {
			mark(reports.NoLeader, "")
		} else {
			mark(reports.NewLeader, "")
		}
		m.inSync(event.Partition, len(event.ISR), mark)
	case *witness.ISRChanged:
		m.inSync(event.Partition, len(event.To), mark)
	case *witness.BecameLeader:
		if _, told := m.isr[event.Partition]; !told { // later ones only repeat what a controller chose
			m.inSync(event.Partition, len(event.ISR), mark)
		}
	}
}

// inSync marks that the in-sync set of a partition shrank or grew.
func (m *marker) inSync(tp kafka.TopicPartition, now int, mark func(reports.MarkKind, string)) {
	was, told := m.isr[tp]
	switch {
	case told && now < was:
		mark(reports.ISRShrank, "")
	case told && now > was:
		mark(reports.ISRGrew, "")
	}
	m.isr[tp] = now
}
