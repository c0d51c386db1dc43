package why

import (
	"fmt"
	"slices"
	"time"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/witness"
	"github.com/ktrial/ktrial/reports"
)

// fenced: a controller decides that a broker is fenced.
type fenced struct {
	moment
	host   string
	broker kafka.NodeID
}

// explainLeaderOut explains that the controllers committed a leader that is not in the ISR: the last change of the
// partition takes back what the one before did.
func (a *account) explainLeaderOut(e *witness.PartitionCommitted) *reports.Why {
	n := len(a.decisions)
	if n < 2 || a.decisions[n-1].At != e.At {
		return nil
	}
	w := &way{account: a}
	first := max(0, n-3)
	for i := first; i < n; i++ {
		d := &a.decisions[i]
		kind := reports.ISRChanged
		if i == n-1 {
			kind = reports.Broke
		}
		w.add(d.step(d.host, kind, onControllers, fmt.Sprintf("commits record %d: %s has leader %s, ISR %s, partition epoch %d", d.At, a.partition, a.name(d.Leader), a.names(d.ISR), d.PartitionEpoch)))
	}
	what := fmt.Sprintf("%s has leader %s, which is not in its ISR %s", a.partition, a.name(e.Leader), a.names(e.ISR))
	because := ""
	if n >= 3 {
		because = w.takenBack(&a.decisions[n-3], &a.decisions[n-2], &a.decisions[n-1])
	}
	why := w.conclude(reports.LeaderOut, what, because)
	why.Record = nil // it is about no record
	why.Remarks = append(why.Remarks, reports.Remark{At: reports.Seconds(a.last.at), Host: a.decisions[n-1].host, Text: a.name(e.Leader) + " leads, not in the ISR"})
	return why
}

// takenBack: a change brings a replica back into the ISR that the change before had taken out, as if that had not
// been, when a controller had fenced both brokers at once.
func (w *way) takenBack(before, out, back *decision) string {
	var returned, gone []kafka.NodeID
	for _, n := range back.ISR {
		if !slices.Contains(out.ISR, n) {
			returned = append(returned, n)
		}
	}
	for _, n := range before.ISR {
		if !slices.Contains(back.ISR, n) {
			gone = append(gone, n)
		}
	}
	for _, n := range back.ISR {
		if !slices.Contains(before.ISR, n) {
			return ""
		}
	}
	if len(returned) == 0 || len(gone) == 0 {
		return ""
	}
	at, host, all := time.Duration(-1), "", []kafka.NodeID(nil)
	for _, f := range w.fences {
		if f.at != at || f.host != host {
			at, host, all = f.at, f.host, nil
		}
		all = append(all, f.broker)
	}
	if len(all) < 2 || !slices.Contains(all, returned[0]) || !slices.Contains(all, gone[0]) {
		return ""
	}
	for _, f := range w.fences {
		if f.at == at && f.host == host {
			w.add(f.step(f.host, reports.Decided, onControllers, "decides that "+w.name(f.broker)+" is fenced"))
		}
	}
	return fmt.Sprintf("%s fenced %s at once, at %s. Record %d took %s out of the ISR, and record %d has it in again, and takes %s out: it was worked out from the partition as it was before record %d. Sessions must expire one at a time, each change worked out with those before it (KAFKA-13173).",
		host, w.names(all), reports.Seconds(at), out.At, w.names(returned), back.At, w.names(gone), out.At)
}
