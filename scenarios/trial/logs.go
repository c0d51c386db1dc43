package trial

import (
	"maps"
	"slices"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/checkers/history"
)

// noteLogs adds to the history where the logs ended: what was acknowledged beyond
// is lost, whether or not a client has looked.
func (r *run) noteLogs(ends map[kafka.TopicPartition]kafka.Offset) {
	im := r.c.Image()
	e := history.Event{Type: history.OK, Actor: "cluster", F: history.Log, Time: r.w.Now()}
	for _, tp := range slices.SortedFunc(maps.Keys(ends), kafka.TopicPartition.Compare) {
		v, _ := r.c.LeaderView(im, tp)
		key := history.Partition(tp.Topic, tp.Partition)
		e.Mops = append(e.Mops,
			history.Mop{Kind: history.MopStart, Key: key, Offset: history.At(int64(v.LogStart))},
			history.Mop{Kind: history.MopEnd, Key: key, Offset: history.At(int64(v.HW))},
			history.Mop{Kind: history.MopStable, Key: key, Offset: history.At(int64(v.LastStable))})
	}
	r.stage.Recorder.Note(e)
}
