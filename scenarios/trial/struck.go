package trial

import (
	"github.com/ktrial/ktrial/faults"
	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/reports"
)

// faultsOf reads off the ledger which faults struck, with the hosts they really
// hit, and which did not strike as they were planned.
func faultsOf(l *ledger.Ledger) (struck []reports.Fault, skipped []reports.Skipped) {
	struck = []reports.Fault{}
	for e := range l.Notable() {
		at := reports.Seconds(e.At)
		switch f := e.Event.(type) {
		case *faults.Struck:
			fault := reports.Fault{At: at, Text: f.Plan, Fault: f.Text, Group: string(f.Group)}
			if f.Momentary {
				fault.Until = at
			}
			struck = append(struck, fault)
		case *faults.Healed:
			struck[f.Number-1].Until = at
		case *faults.Skipped:
			skipped = append(skipped, reports.Skipped{At: at, Text: f.Text, Why: f.Reason})
		}
	}
	return struck, skipped
}
