package laws

import (
	"testing"
)

// decideEnds tells a story of transactional ids.
func decideEnds(t *testing.T, events string) *tally {
	x := NewTransactions(nil)
	play(t, events, func(verb string, w *words) {
		switch verb {
		case "state-of-before": // as state, told by a coordinator of epoch 4, which was replaced
			id := w.text()
			x.State(id, TransactionState{
				Producer: w.num(), Epoch: int16(w.num()), State: w.text(), Coordinator: 4, Version: int(w.num()), Partitions: w.texts(),
			})
		case "state": // id producer epoch state version partition..., told by a coordinator of epoch 5
			id := w.text()
			x.State(id, TransactionState{
				Producer: w.num(), Epoch: int16(w.num()), State: w.text(), Coordinator: 5, Version: int(w.num()), Partitions: w.texts(),
			})
		case "marker": // partition producer epoch commit or abort, sent by the coordinator of epoch 5
			x.Marker(w.text(), w.num(), int16(w.num()), 5, w.text() == "commit")
		case "admin": // the same, sent by an administrator
			x.Marker(w.text(), w.num(), int16(w.num()), -1, w.text() == "commit")
		case "log": // partition producer epoch: a log has the marker
			x.Appended(w.text(), w.num(), int16(w.num()))
		case "load":
			x.Loaded()
		case "delete": // topic
			x.TopicDeleted(w.text())
		case "hangs": // partition producer epoch first
			x.Hangs(w.text(), w.num(), int16(w.num()), w.num())
		case "quiet":
			x.Quiet()
		default:
			t.Fatalf("unknown event %q", verb)
		}
	})
	return &x.tally
}

func TestTransactions(t *testing.T) { tell(t, decisions, decideEnds) }

var decisions = []tale{
	{"a transaction from its beginning to its end", 0, `
		state t 7 0 Empty 2
		state t 7 0 Ongoing 2 x/0
		state t 7 0 Ongoing 2 x/0 y/0
		state t 7 1 PrepareCommit 2 x/0 y/0
		log x/0 7 1
		marker x/0 7 1 commit
		log y/0 7 1
		marker y/0 7 1 commit
		state t 7 1 CompleteCommit 2
		state t 7 1 Ongoing 2 x/0
		quiet`},
	{"a coordinator that was replaced hears late that its record is committed", 0, `
		state t 7 0 Ongoing 2 x/0
		state t 7 1 PrepareAbort 2 x/0
		log x/0 7 1
		marker x/0 7 1 abort
		state t 7 1 CompleteAbort 2
		state-of-before t 7 0 Ongoing 2 x/0
		state t 7 1 Ongoing 2 y/0`},
	{"in the old generation transactions share an epoch", 0, `
		state t 7 0 Ongoing 1 x/0
		state t 7 0 PrepareCommit 1 x/0
		log x/0 7 0
		marker x/0 7 0 commit
		state t 7 0 CompleteCommit 1
		state t 7 0 Ongoing 1 x/0
		state t 7 0 PrepareAbort 1 x/0
		log x/0 7 0
		marker x/0 7 0 abort
		state t 7 0 CompleteAbort 1`},

	{"its epoch falls", 63, `
		state t 7 3 Empty 2
		state t 7 2 Ongoing 2 x/0`},
	{"its epochs are used up, and a new producer id begins", 0, `
		state t 7 32766 Ongoing 2 x/0
		state t 7 32767 PrepareAbort 2 x/0
		log x/0 7 32767
		state t 8 0 CompleteAbort 2`},
	{"an end takes no new epoch", 63, `
		state t 7 3 Ongoing 2 x/0
		state t 7 3 PrepareCommit 2 x/0`},
	{"two ids have one producer id", 63, `
		state t 7 0 Empty 2
		state u 7 0 Empty 2`},

	{"a decision flips", 65, `
		state t 7 0 Ongoing 2 x/0
		state t 7 1 PrepareCommit 2 x/0
		load
		state t 7 1 PrepareAbort 2 x/0`},
	{"it is complete otherwise than it was decided", 65, `
		state t 7 0 Ongoing 2
		state t 7 1 PrepareCommit 2
		load
		state t 7 1 CompleteAbort 2`},
	{"it is complete without a decision", 65, `
		state t 7 0 Ongoing 2 x/0
		state t 7 0 CompleteCommit 2`},
	{"a marker comes before the decision", 65, `
		state t 7 0 Ongoing 2 x/0
		marker x/0 7 1 commit`},
	{"an administrator ends what hangs", 0, `
		state t 7 0 Ongoing 2 x/0
		admin x/0 7 0 abort`},
	{"what another coordinator has loaded it does not tell", 0, `
		state t 7 0 Ongoing 2 x/0
		load
		marker x/0 7 1 commit
		state t 7 1 CompleteCommit 2`},

	{"a marker says otherwise than was decided", 66, `
		state t 7 0 Ongoing 2 x/0
		state t 7 1 PrepareCommit 2 x/0
		marker x/0 7 1 abort`},
	{"it is complete, and a partition has no marker", 66, `
		state t 7 0 Ongoing 2 x/0 y/0
		state t 7 1 PrepareCommit 2 x/0 y/0
		log x/0 7 1
		state t 7 1 CompleteCommit 2`},
	{"whose topic is gone", 0, `
		state t 7 0 Ongoing 2 x/0 y/0
		state t 7 1 PrepareCommit 2 x/0 y/0
		log x/0 7 1
		delete y
		state t 7 1 CompleteCommit 2`},

	{"what is decided is never complete", 72, `
		state t 7 0 Ongoing 2 x/0
		state t 7 1 PrepareCommit 2 x/0
		quiet`},
	{"a log has open what its coordinator has open", 0, `
		state t 7 0 Ongoing 2 x/0
		hangs x/0 7 0 4`},
	{"a log has open what its coordinator has not", 72, `
		state t 7 0 Ongoing 2 x/0
		state t 7 1 PrepareAbort 2 x/0
		log x/0 7 1
		state t 7 1 CompleteAbort 2
		hangs x/0 7 1 4`},
	{"or on another partition", 72, `
		state t 7 0 Ongoing 2 x/0
		hangs y/0 7 0 4`},
}
