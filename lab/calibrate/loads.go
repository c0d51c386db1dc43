package calibrate

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/record"
)

// load is a kind of request, repeated. Two that differ in one thing say by their
// difference what that thing costs.
type load struct {
	name  string
	op    operation
	count int // requests in a round

	acks        int16
	batches     int // of a request, each to a partition of its own
	records     int // of a batch
	recordBytes int // of a record's value
	synced      bool
	// unknown sends to a partition that does not exist: the broker reads the request
	// and appends nothing.
	unknown bool
	// together sends all requests of a round at once and waits for all answers.
	together bool
}

type operation int

const (
	connecting operation = iota
	asking               // ApiVersions: a request of which nothing is done
	producing
	fetching
	delivering // a record to a consumer that waits for it
)

// The names of loads, by which results are found again.
const (
	loadConnect   = "connect"
	loadAsk       = "round trip"
	loadAskMany   = "requests at once"
	loadAppend    = "append, acks=1"
	loadBatches   = "append 6 batches, acks=1"
	loadBytes     = "append 64 kB, acks=1"
	loadRecords   = "append 64 kB of small records, acks=1"
	loadRefused   = "refuse 1 record"
	loadRefused64 = "refuse 64 kB"
	loadAll       = "append, acks=all"
	loadAllMany   = "append 6 batches, acks=all"
	loadAllBytes  = "append 64 kB, acks=all"
	loadSynced    = "append, acks=1, flush.messages=1"
	loadFetch     = "fetch 1 batch"
	loadFetchMany = "fetch 6 batches"
	loadFetch64   = "fetch 64 kB"
	loadDeliver   = "delivery, acks=1"
)

const (
	tiny    = 100
	large   = 1000
	manyOf  = 64  // large records make 64 kB
	smallOf = 640 // tiny ones do
)

// loads are those of a round.
func loads(replicated, fsync bool) []load {
	all := []load{
		{name: loadConnect, op: connecting, count: 5},
		{name: loadAsk, op: asking, count: 200},
		{name: loadAskMany, op: asking, count: 200, together: true},
		{name: loadAppend, op: producing, count: 200, acks: 1, batches: 1, records: 1, recordBytes: tiny},
		{name: loadBatches, op: producing, count: 60, acks: 1, batches: spread, records: 1, recordBytes: tiny},
		{name: loadBytes, op: producing, count: 25, acks: 1, batches: 1, records: manyOf, recordBytes: large},
		{name: loadRecords, op: producing, count: 25, acks: 1, batches: 1, records: smallOf, recordBytes: tiny},
		{name: loadRefused, op: producing, count: 60, acks: 1, batches: 1, records: 1, recordBytes: tiny, unknown: true},
		{name: loadRefused64, op: producing, count: 25, acks: 1, batches: 1, records: manyOf, recordBytes: large, unknown: true},
		{name: loadFetch, op: fetching, count: 100, batches: 1, records: 1, recordBytes: tiny},
		{name: loadFetchMany, op: fetching, count: 60, batches: spread, records: 1, recordBytes: tiny},
		{name: loadFetch64, op: fetching, count: 25, batches: 1, records: manyOf, recordBytes: large},
		{name: loadDeliver, op: delivering, count: 15, acks: 1, batches: 1, records: 1, recordBytes: tiny},
	}
	if replicated {
		all = append(all,
			load{name: loadAll, op: producing, count: 100, acks: -1, batches: 1, records: 1, recordBytes: tiny},
			load{name: loadAllMany, op: producing, count: 40, acks: -1, batches: spread, records: 1, recordBytes: tiny},
			load{name: loadAllBytes, op: producing, count: 15, acks: -1, batches: 1, records: manyOf, recordBytes: large},
		)
	}
	if fsync {
		all = append(all, load{name: loadSynced, op: producing, count: 60, acks: 1, batches: 1, records: 1, recordBytes: tiny, synced: true})
	}
	return all
}

// payload is what a request of the load carries, in bytes of values.
func (l load) payload() int { return l.batches * l.records * l.recordBytes }

// bytes is about what a round of it sends.
func (l load) bytes() int64 {
	const overhead = 100 // of a request, with a batch
	if l.op == fetching || l.op == connecting {
		return int64(l.count * overhead)
	}
	return int64(l.count * (overhead + l.payload()*11/10))
}

// take is what one round of a load took.
type take struct {
	// micros are the times of requests; of requests that were together, the share of each.
	micros []float64
	// cpu is what threads of all brokers used for a request; zero if it is not known.
	cpu cpu
}

// cpu is time of kinds of threads, in microseconds.
type cpu struct{ network, io, follower float64 }

// target is a broker that is measured, and what is needed for it.
type target struct {
	broker  node
	topic   string
	parts   []int32 // that it leads
	ask     *conn   // for all but what waits
	waiting *conn   // of the consumer that waits
	batches map[[2]int][]byte
	bigAt   int64 // where a batch of 64 kB begins
}

// play plays one round of a load and reads what it cost.
func (r *run) play(ctx context.Context, t *target, l load) (took take, err error) {
	before := r.threads.used()
	switch {
	case l.op == connecting:
		took.micros, err = t.reconnect(ctx, l)
	case l.op == delivering:
		took.micros, err = t.deliver(l)
	case l.together:
		took.micros, err = t.together(l)
	default:
		took.micros, err = t.oneByOne(l)
	}
	if r.threads != nil {
		took.cpu = r.threads.used().since(before, l.count)
	}
	return took, err
}

// connect opens the connections to a broker.
func (t *target) connect(ctx context.Context, topic string) (err error) {
	t.topic, t.batches = topic, map[[2]int][]byte{}
	if t.ask, _, err = dial(ctx, t.broker.addr); err != nil {
		return err
	}
	t.waiting, _, err = dial(ctx, t.broker.addr)
	return err
}

func (t *target) close() {
	for _, c := range []*conn{t.ask, t.waiting} {
		if c != nil {
			c.close()
		}
	}
}

// seed puts into each partition a small batch, which fetches begin with, and behind
// it in the first a large one.
func (t *target) seed(ctx context.Context) (err error) {
	small := load{op: producing, acks: -1, batches: spread, records: 1, recordBytes: tiny}
	if _, err = t.patiently(ctx, small); err == nil {
		t.bigAt, err = t.patiently(ctx, load{op: producing, acks: -1, batches: 1, records: manyOf, recordBytes: large})
	}
	if err != nil {
		return fmt.Errorf("calibrate: broker %d: first records: %w", t.broker.id, err)
	}
	return nil
}

// patiently appends as soon as the broker knows that it leads: others may hear of a new
// topic before it does.
func (t *target) patiently(ctx context.Context, l load) (at int64, err error) {
	deadline := time.Now().Add(patience)
	for {
		at, err = t.produceTo(l, t.parts[:l.batches])
		if err == nil || !kerr.IsRetriable(err) || ctx.Err() != nil || time.Now().After(deadline) {
			return at, err
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// reconnect opens connections and closes them.
func (t *target) reconnect(ctx context.Context, l load) (micros []float64, err error) {
	for range l.count {
		c, took, err := dial(ctx, t.broker.addr)
		if err != nil {
			return nil, err
		}
		c.close()
		micros = append(micros, inMicros(took))
	}
	return micros, nil
}

func inMicros(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1000 }

// oneByOne sends a request when the one before was answered.
func (t *target) oneByOne(l load) ([]float64, error) {
	req, err := t.request(l)
	if err != nil {
		return nil, err
	}
	var resp kmsg.Response
	micros := make([]float64, 0, l.count)
	for range l.count {
		if err := t.ask.add(req); err != nil {
			return nil, err
		}
		if resp == nil {
			resp = answerTo(req)
		}
		start := time.Now()
		if err := t.ask.send(); err != nil {
			return nil, err
		}
		if err := t.ask.receive(resp); err != nil {
			return nil, err
		}
		micros = append(micros, inMicros(time.Since(start)))
		if err := judge(resp, l); err != nil {
			return nil, err
		}
	}
	return micros, nil
}

// together sends all requests at once: between them a broker waits for nothing.
func (t *target) together(l load) ([]float64, error) {
	req, err := t.request(l)
	if err != nil {
		return nil, err
	}
	for range l.count {
		if err := t.ask.add(req); err != nil {
			return nil, err
		}
	}
	start := time.Now()
	if err := t.ask.send(); err != nil {
		return nil, err
	}
	for range l.count {
		if err := t.ask.receive(nil); err != nil {
			return nil, err
		}
	}
	return []float64{inMicros(time.Since(start)) / float64(l.count)}, nil
}

// deliver has a consumer wait for a record, sends it, and measures until the consumer
// has it.
func (t *target) deliver(l load) (micros []float64, err error) {
	end, err := t.produceTo(l, t.parts[1:2])
	if err != nil {
		return nil, err
	}
	for range l.count {
		end++
		wait := t.fetch(t.parts[1], end, 1<<20, patience/2)
		if err := t.await(wait); err != nil {
			return nil, err
		}
		time.Sleep(2 * time.Millisecond) // until it waits
		start := time.Now()
		if _, err := t.produceTo(l, t.parts[1:2]); err != nil {
			return nil, err
		}
		if err := t.awaited(wait); err != nil {
			return nil, err
		}
		micros = append(micros, inMicros(time.Since(start)))
	}
	return micros, nil
}

// await sends the fetch of a consumer that waits.
func (t *target) await(wait *kmsg.FetchRequest) error {
	if err := t.waiting.add(wait); err != nil {
		return err
	}
	return t.waiting.send()
}

// awaited waits for its records. A broker may answer such a fetch before there are any; a
// consumer then asks again.
func (t *target) awaited(wait *kmsg.FetchRequest) error {
	for range mostFetches {
		resp := answerTo(wait).(*kmsg.FetchResponse)
		if err := t.waiting.receive(resp); err != nil {
			return err
		}
		if err := fetchError(resp); err != nil {
			return err
		}
		if len(resp.Topics[0].Partitions[0].RecordBatches) > 0 {
			return nil
		}
		if err := t.await(wait); err != nil {
			return err
		}
	}
	return fmt.Errorf("found no record in %d fetches, expected one", mostFetches)
}

// mostFetches is how often a consumer asks for one record.
const mostFetches = 1000

// request makes that of a load.
func (t *target) request(l load) (kmsg.Request, error) {
	switch l.op {
	case producing:
		parts := t.parts[:l.batches]
		if l.unknown {
			parts = []int32{noPartition}
		}
		return t.produceRequest(l, parts), nil
	case fetching:
		at, most := int64(0), 2*tiny
		if l.records > 1 {
			at, most = t.bigAt, l.payload()
		}
		req := t.fetch(t.parts[0], at, most, 0)
		for _, p := range t.parts[1:l.batches] {
			req.Topics[0].Partitions = append(req.Topics[0].Partitions, t.fetchOf(p, at, most))
		}
		return req, nil
	}
	req := kmsg.NewPtrApiVersionsRequest()
	req.ClientSoftwareName, req.ClientSoftwareVersion = "ktrial", "1"
	return req, nil
}

// noPartition is one that no topic has.
const noPartition = 1_000_000

// produceTo appends one request to partitions; at is the offset in the first.
func (t *target) produceTo(l load, parts []int32) (at int64, err error) {
	resp, err := t.ask.asked(t.produceRequest(l, parts))
	if err != nil {
		return 0, err
	}
	if err := judge(resp, l); err != nil {
		return 0, err
	}
	return resp.(*kmsg.ProduceResponse).Topics[0].Partitions[0].BaseOffset, nil
}

func (t *target) produceRequest(l load, parts []int32) *kmsg.ProduceRequest {
	req := kmsg.NewPtrProduceRequest()
	req.Acks, req.TimeoutMillis = l.acks, int32(patience.Milliseconds())
	topic := kmsg.NewProduceRequestTopic()
	topic.Topic = t.topic
	if l.synced {
		topic.Topic += "-synced"
	}
	for _, p := range parts {
		part := kmsg.NewProduceRequestTopicPartition()
		part.Partition, part.Records = p, t.batch(l)
		topic.Partitions = append(topic.Partitions, part)
	}
	req.Topics = append(req.Topics, topic)
	return req
}

// batch is one of a load, made once.
func (t *target) batch(l load) []byte {
	key := [2]int{l.records, l.recordBytes}
	if b := t.batches[key]; b != nil {
		return b
	}
	b := record.NewBuilder(record.Options{})
	value := make([]byte, l.recordBytes)
	for i := range value {
		value[i] = byte('a' + i*7%26)
	}
	now := time.Now().UnixMilli()
	for range l.records {
		b.Append(now, nil, value)
	}
	t.batches[key] = b.Build()
	return t.batches[key]
}

// fetch asks one partition for records, without a session.
func (t *target) fetch(part int32, at int64, most int, wait time.Duration) *kmsg.FetchRequest {
	req := kmsg.NewPtrFetchRequest()
	req.ReplicaID, req.SessionEpoch = -1, -1
	req.MaxBytes, req.MinBytes, req.MaxWaitMillis = 1<<20, 1, int32(wait.Milliseconds())
	topic := kmsg.NewFetchRequestTopic()
	topic.Topic = t.topic
	topic.Partitions = append(topic.Partitions, t.fetchOf(part, at, most))
	req.Topics = append(req.Topics, topic)
	return req
}

func (t *target) fetchOf(part int32, at int64, most int) kmsg.FetchRequestTopicPartition {
	p := kmsg.NewFetchRequestTopicPartition()
	p.Partition, p.FetchOffset, p.PartitionMaxBytes = part, at, int32(most)
	return p
}

// judge says what is wrong with an answer.
func judge(resp kmsg.Response, l load) error {
	switch resp := resp.(type) {
	case *kmsg.ApiVersionsResponse:
		return kerr.ErrorForCode(resp.ErrorCode)
	case *kmsg.ProduceResponse:
		for _, p := range resp.Topics[0].Partitions {
			err := kerr.ErrorForCode(p.ErrorCode)
			if l.unknown && errors.Is(err, kerr.UnknownTopicOrPartition) {
				err = nil
			} else if l.unknown {
				return fmt.Errorf("found error code %d for a partition that does not exist, expected UNKNOWN_TOPIC_OR_PARTITION", p.ErrorCode)
			}
			if err != nil {
				return err
			}
		}
	case *kmsg.FetchResponse:
		if err := fetchError(resp); err != nil {
			return err
		}
		for _, p := range resp.Topics[0].Partitions {
			if len(p.RecordBatches) == 0 {
				return fmt.Errorf("partition %d: found no record, expected those that were sent", p.Partition)
			}
		}
	}
	return nil
}

func fetchError(resp *kmsg.FetchResponse) error {
	err := kerr.ErrorForCode(resp.ErrorCode)
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			err = errors.Join(err, kerr.ErrorForCode(p.ErrorCode))
		}
	}
	if err == nil && len(resp.Topics) == 0 {
		err = fmt.Errorf("found no partition in the answer to a fetch, expected those asked for")
	}
	return err
}
