package workloads

import (
	"time"

	"github.com/ktrial/ktrial/broker/client"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/checkers/history"
	"github.com/ktrial/ktrial/sim/env"
)

// asking asks again and again where the logs end: no client may be answered an end
// that lies before one that was answered earlier.
type asking struct {
	w      ProduceConsume
	s      *Stage
	stable bool // it asks for last stable offsets, too
}

// askEvery is the pause between two questions.
const askEvery = 700 * time.Millisecond

func (a *asking) main(h env.Host) {
	a.s.AwaitWork(h)
	cfg := client.AdminDefaults()
	cfg.DefaultAPITimeout = 5 * time.Second
	admin := client.New(h, a.s.Bootstrap, h.Name()).NewAdmin(cfg)
	specs := map[kafka.TopicPartition]client.OffsetSpec{}
	for _, tp := range a.s.Partitions(a.w.UsesTopics()) {
		specs[tp] = client.EndOfLog
	}
	process := a.s.NewProcess()
	for !a.s.Draining() {
		if !a.ask(h, admin, process, specs) {
			process = a.s.NewProcess()
		}
		h.Sleep(askEvery)
	}
	admin.Close()
}

// ask asks once; false if nothing was learned.
func (a *asking) ask(h env.Host, admin *client.Admin, process int64, specs map[kafka.TopicPartition]client.OffsetSpec) bool {
	e := history.Event{Process: process, Client: h.Name(), F: history.ListOffsets, Time: a.s.Now()}
	for _, tp := range a.s.Partitions(a.w.UsesTopics()) {
		e.Mops = append(e.Mops, history.Mop{Kind: history.MopEnd, Key: history.Partition(tp.Topic, tp.Partition)})
	}
	a.s.Recorder.Invoke(e)
	var mops []history.Mop
	var err error
	if a.stable { // first, so that no end is told that was younger
		mops, err = a.mark(admin, client.ReadCommitted, history.MopStable, specs)
	}
	if err == nil {
		var ends []history.Mop
		ends, err = a.mark(admin, client.ReadUncommitted, history.MopEnd, specs)
		mops = append(mops, ends...)
	}
	e.Time, e.Type, e.Mops = a.s.Now(), history.OK, mops
	if err != nil || len(e.Mops) == 0 {
		e.Type = history.Failed
		if err != nil {
			e.Error = err.Error()
		}
	}
	a.s.Recorder.Complete(e)
	if e.Type == history.Failed {
		a.s.CountFailure(history.ListOffsets, err)
	}
	return e.Type == history.OK
}

// mark asks for one kind of offset.
func (a *asking) mark(admin *client.Admin, level client.IsolationLevel, kind history.MopKind, specs map[kafka.TopicPartition]client.OffsetSpec) (mops []history.Mop, err error) {
	ends, err := admin.ListOffsets(level, specs)
	for _, tp := range a.s.Partitions(a.w.UsesTopics()) {
		end, ok := ends[tp]
		if ok && end.Err == nil {
			mops = append(mops, history.Mop{Kind: kind, Key: history.Partition(tp.Topic, tp.Partition), Offset: history.At(int64(end.Offset))})
		}
	}
	return mops, err
}
