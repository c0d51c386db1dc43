package trial

import (
	"sort"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/witness"
	"github.com/ktrial/ktrial/checkers/history"
	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/workloads"
)

// tellOperations has the ledger hold what clients do, too. An offset alone is
// no record: after an election another one may stand there. So each has its
// leader epoch, from the event of the leader that appended it.
func (r *run) tellOperations() {
	epochs := epochs{leads: map[*witness.Replica]bool{}, of: map[history.Value][]appended{}, keys: map[*witness.Replica]history.Value{}}
	r.w.Ledger().Read(epochs.read)
	operations := workloads.Operations{EpochAt: epochs.at}
	r.stage.Recorder.Told = func(e *history.Event, index int64) {
		if event := operations.EventOf(e, index); event != nil {
			r.w.TellOf(e.Client, event)
		}
	}
}

// epochs knows the leader epoch of each offset, as leaders appended last.
type epochs struct {
	leads map[*witness.Replica]bool
	of    map[history.Value][]appended // by partition, in the order of offsets
	keys  map[*witness.Replica]history.Value
}

// appended is a run of offsets of one epoch: from first to that of the next run.
type appended struct {
	first, end kafka.Offset
	epoch      kafka.LeaderEpoch
}

func (x *epochs) read(e *ledger.Entry) {
	switch event := e.Event.(type) {
	case *witness.BecameLeader:
		x.leads[event.Replica] = true
	case *witness.BecameFollower:
		delete(x.leads, event.Replica)
	case *witness.Appended:
		if x.leads[event.Replica] {
			x.append(x.key(event.Replica), appended{event.From, event.End, event.Epoch})
		}
	}
}

// key is how the history names the partition of a replica.
func (x *epochs) key(r *witness.Replica) history.Value {
	key, known := x.keys[r]
	if !known {
		key = history.Partition(r.Partition.Topic, r.Partition.Partition)
		x.keys[r] = key
	}
	return key
}

// append adds a run. What was there from its first offset on is no more: the
// leader that had appended it has lost its leadership.
func (x *epochs) append(partition history.Value, a appended) {
	runs := x.of[partition]
	runs = runs[:sort.Search(len(runs), func(i int) bool { return runs[i].first >= a.first })]
	n := len(runs)
	if n > 0 && runs[n-1].epoch == a.epoch {
		runs[n-1].end = a.end
	} else {
		if n > 0 {
			runs[n-1].end = min(runs[n-1].end, a.first)
		}
		runs = append(runs, a)
	}
	x.of[partition] = runs
}

func (x *epochs) at(partition history.Value, offset int64) (epoch int32, end int64, known bool) {
	runs := x.of[partition]
	i := sort.Search(len(runs), func(i int) bool { return int64(runs[i].end) > offset })
	if i == len(runs) || int64(runs[i].first) > offset {
		return 0, 0, false
	}
	return int32(runs[i].epoch), int64(runs[i].end), true
}
