package workloads

import (
	"fmt"
	"slices"
	"time"

	"github.com/ktrial/ktrial/broker/client"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/checkers/history"
	"github.com/ktrial/ktrial/sim/env"
)

// restless is a consumer, over all lives of its process, that does not only read on: it seeks,
// pauses partitions, is assigned others, commits in a group that has no members, and goes on
// from what is committed.
//
// What it is given between two such things the history has as the reading of a process of its
// own. That it begins where it sought, or where it committed, is compared here.
type restless struct {
	w     ProduceConsume
	s     *Stage
	group string
	// committed is what may be committed of each partition; noCommit: nothing.
	committed map[kafka.TopicPartition]*register[kafka.Offset]
}

const noCommit kafka.Offset = -1

func (c *restless) main(h env.Host) {
	c.s.AwaitWork(h)
	cfg := c.w.consumerConfig()
	cfg.GroupID, cfg.EnableAutoCommit, cfg.DefaultAPITimeout = c.group, false, 8*time.Second
	cfg.MaxPollRecords = 1 + h.Rand().Int32N(20)
	consumer, err := client.New(h, c.s.Bootstrap, h.Name()).NewConsumer(cfg)
	if err != nil {
		panic("workloads: restless consumer: " + err.Error())
	}
	r := &restlessLife{
		restless: c, paused: map[kafka.TopicPartition]bool{}, from: map[kafka.TopicPartition]kafka.Offset{},
		Reader: Reader{s: c.s, h: h, host: h.Name(), consumer: consumer, next: map[kafka.TopicPartition]kafka.Offset{}},
	}
	r.assign()
	for !c.s.Draining() {
		r.turn()
	}
	r.Close()
}

// restlessLife is one life of its process.
type restlessLife struct {
	*restless
	Reader
	paused map[kafka.TopicPartition]bool
	from   map[kafka.TopicPartition]kafka.Offset // where it sought and has read nothing yet
}

// turn polls, and before that at times does something else.
func (r *restlessLife) turn() {
	luck := r.h.Rand()
	tp := r.assigned[luck.IntN(len(r.assigned))]
	switch luck.IntN(24) {
	case 0, 1:
		r.seek(tp, kafka.Offset(luck.Int64N(int64(r.next[tp])+1)))
	case 2:
		r.sought(r.consumer.SeekToBeginning(tp), tp, 0)
	case 3:
		r.sought(r.consumer.SeekToEnd(tp), tp, 0)
	case 4, 5:
		r.pause(tp)
	case 6:
		r.assign()
	case 7, 8, 9:
		r.commit()
	}
	begun := r.Reader.s.Now()
	records := r.Poll()
	if records == nil && r.Reader.s.Now() == begun {
		r.h.Sleep(pollTimeout)
	}
	r.compare(records)
}

func (r *restlessLife) seek(tp kafka.TopicPartition, to kafka.Offset) {
	r.sought(r.consumer.Seek(tp, to), tp, to)
}

// sought: from now on nothing below an offset of a partition may be given.
func (r *restlessLife) sought(err error, tp kafka.TopicPartition, to kafka.Offset) {
	if err != nil {
		panic("workloads: seek: " + err.Error()) // it was assigned a moment ago
	}
	r.from[tp] = to
	r.begin()
}

// begin has what follows be the reading of another process of the history, which may begin
// anywhere.
func (r *restlessLife) begin() {
	r.process = r.Reader.s.NewProcess()
	e := history.Event{Process: r.process, Client: r.host, F: history.Assign, Group: r.group, Time: r.Reader.s.Now()}
	for _, tp := range r.assigned {
		e.Keys = append(e.Keys, r.Reader.s.Key(tp))
	}
	r.Reader.s.Recorder.Invoke(e)
	e.Type = history.OK
	r.Reader.s.Recorder.Complete(e)
}

func (r *restlessLife) pause(tp kafka.TopicPartition) {
	if r.paused[tp] = !r.paused[tp]; r.paused[tp] {
		r.consumer.Pause(tp)
	} else {
		r.consumer.Resume(tp)
	}
}

// assign gives up everything and takes some partitions, which begin at what is committed.
func (r *restlessLife) assign() {
	r.consumer.Assign(nil)
	clear(r.paused)
	clear(r.from)
	all := r.Reader.s.Partitions(r.w.UsesTopics())
	luck := r.h.Rand()
	luck.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	r.assigned = all[:1+luck.IntN(len(all))]
	slices.SortFunc(r.assigned, kafka.TopicPartition.Compare)
	r.consumer.Assign(r.assigned)
	r.begin()
	for _, tp := range r.assigned {
		at, err := r.consumer.Position(tp)
		if err != nil {
			r.Reader.s.CountFailure(history.Committed, err)
			continue
		}
		known, wrong := r.register(tp), ""
		if !known.mayBe(noCommit) && !known.mayBe(at.Offset) {
			wrong = fmt.Sprintf("it begins at %d, and what is committed may be one of %v", at.Offset, known.all())
		}
		r.h.Tell(&ClientFound{What: fmt.Sprintf("the committed offset of group %s on %v", r.group, tp), Wrong: wrong})
	}
}

func (r *restlessLife) register(tp kafka.TopicPartition) *register[kafka.Offset] {
	known := r.committed[tp]
	if known == nil {
		known = &register[kafka.Offset]{settled: noCommit}
		r.committed[tp] = known
	}
	return known
}

// commit commits where the consumer is in all partitions whose position is known.
func (r *restlessLife) commit() {
	offsets := client.Offsets{}
	for _, tp := range r.assigned {
		at, err := r.consumer.Position(tp)
		if err != nil {
			return
		}
		offsets[tp] = client.OffsetAndMetadata{Offset: at.Offset, LeaderEpoch: at.Epoch}
	}
	for _, tp := range r.assigned {
		r.register(tp).asked(offsets[tp].Offset)
	}
	begun := r.Reader.s.Now()
	err := r.consumer.CommitOffsetsSync(offsets)
	took := r.Reader.s.Now() - begun
	if err != nil {
		r.Reader.s.CountFailure(history.Commit, err)
		return // it may be carried out, and late
	}
	for _, tp := range r.assigned {
		r.register(tp).answered(true, took)
	}
}

// compare looks at what a poll has returned.
func (r *restlessLife) compare(records []client.ConsumerRecord) {
	for i := range records {
		tp, offset := records[i].Partition, records[i].Offset
		if r.paused[tp] {
			r.h.Tell(&ClientFound{What: fmt.Sprintf("the pause of %v", tp), Wrong: fmt.Sprintf("it is given the record at %d", offset)})
		}
		from, sought := r.from[tp]
		if !sought {
			continue
		}
		delete(r.from, tp)
		wrong := ""
		if offset < from {
			wrong = fmt.Sprintf("it sought %d, and is given the record at %d", from, offset)
		}
		r.h.Tell(&ClientFound{What: fmt.Sprintf("a seek in %v", tp), Wrong: wrong})
	}
}
