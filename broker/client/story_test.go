package client

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/config"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/planted"
	"github.com/ktrial/ktrial/broker/record"
	"github.com/ktrial/ktrial/internal/golden"
	"github.com/ktrial/ktrial/sim"
	"github.com/ktrial/ktrial/sim/env"
	simnet "github.com/ktrial/ktrial/sim/network"
)

// TestStories plays testdata/stories/*.txt. A line at the margin is a command or
// a comment; indented below it is what has happened until it was over, and when:
// requests with their answers (as they are answered), deliveries, polls.
func TestStories(t *testing.T) {
	golden.Stories(t, "testdata/stories/*.txt", play)
}

// play runs the commands of a story and fills in what comes of them.
func play(t *testing.T, text string) string {
	var out strings.Builder
	s := &story{t: t}
	lines := slices.DeleteFunc(strings.Split(strings.TrimRight(text, "\n"), "\n"), func(line string) bool { return strings.HasPrefix(line, "  ") })
	next := func() (words []string, ok bool) {
		for len(lines) > 0 {
			line := lines[0]
			lines = lines[1:]
			out.WriteString(line + "\n")
			if line != "" && line[0] != '#' {
				return strings.Fields(line), true
			}
		}
		return nil, false
	}
	words, _ := next()
	s.cluster(words)
	s.fake.run(func(h env.Host, c *Client) {
		s.host, s.client, s.began = h, c, h.Uptime()
		for words, ok := next(); ok; words, ok = next() {
			s.do(words)
			for _, line := range s.lines {
				out.WriteString("  " + line + "\n")
			}
			s.lines = nil
		}
	})
	return out.String()
}

// story is a client of a fake cluster whose network takes exactly a millisecond.
type story struct {
	t        *testing.T
	fake     *fake
	host     env.Host
	client   *Client
	began    time.Duration
	producer *Producer
	consumer *Consumer
	members  map[string]*storyMember
	bugs     *planted.Set // in members
	acts     []act        // for the next batches
	lines    []string
	groups   bool // requests that have nothing to do with groups are left out
}

// cluster: cluster brokers 2 partitions 3; with groups at the end, requests that fetch
// records are left out.
func (s *story) cluster(words []string) {
	require.GreaterOrEqual(s.t, len(words), 5, "a story begins with: cluster brokers N partitions M, or with groups at the end")
	s.groups = len(words) > 5 && words[5] == "groups"
	lan := simnet.LAN()
	lan.Default = simnet.Profile{Latency: time.Millisecond}
	s.fake = newFakeIn(s.t, sim.Config{Seed: 1, Network: lan, Steady: true, InOrder: true, Lucky: true}, int32(s.number(words[2])), map[string]int32{"orders": int32(s.number(words[4]))})
	s.fake.onAnswer = s.answered
	s.fake.onProduce = func(kafka.TopicPartition, record.Batch) act {
		if len(s.acts) == 0 {
			return act{}
		}
		a := s.acts[0]
		s.acts = s.acts[1:]
		return a
	}
}

func (s *story) number(word string) int64 {
	n, err := strconv.ParseInt(word, 10, 64)
	require.NoError(s.t, err)
	return n
}

// say writes down what happens now.
func (s *story) say(format string, args ...any) {
	at := (s.host.Uptime() - s.began).Round(time.Millisecond)
	s.lines = append(s.lines, fmt.Sprintf("%6d ms  ", at.Milliseconds())+fmt.Sprintf(format, args...))
}

// do runs one command.
func (s *story) do(words []string) {
	partition := func(i int) kafka.TopicPartition { return orders(int32(s.number(words[i]))) }
	switch words[0] {
	case "producer": // producer linger.ms=5: with what is not as by default
		cfg := ProducerDefaults()
		s.set(&cfg, words[1:])
		s.producer = producer(s.t, s.client, cfg)
	case "send": // send 0 a b: two records to partition 0, one right after the other
		for _, value := range words[2:] {
			s.send(partition(1), value)
		}
	case "flush":
		s.producer.Flush()
	case "close":
		if s.producer != nil {
			s.producer.Close(0)
		}
		if s.consumer != nil {
			s.consumer.Close()
		}
	case "next": // next NOT_ENOUGH_REPLICAS; next REQUEST_TIMED_OUT appended; next drop; next drop appended; next late 2000
		s.acts = append(s.acts, s.act(words[1:]))
	case "consumer": // consumer max.poll.records=2
		s.consumer = consumer(s.t, s.client, words[1:]...)
	case "assign": // assign 0 1
		var tps []kafka.TopicPartition
		for i := range words[1:] {
			tps = append(tps, partition(i+1))
		}
		s.consumer.Assign(tps)
	case "seek": // seek 0 5
		require.NoError(s.t, s.consumer.Seek(partition(1), kafka.Offset(s.number(words[2]))))
	case "pause":
		s.consumer.Pause(partition(1))
	case "resume":
		s.consumer.Resume(partition(1))
	case "poll": // poll 100: for at most 100 ms
		records, err := s.consumer.Poll(time.Duration(s.number(words[1])) * time.Millisecond)
		s.polled(records, err)
	case "put": // put 0 x y: a batch of two gets into the log of partition 0
		s.fake.parts[partition(1)].put(plain(words[2:]...))
	case "cut-log": // cut-log 0 5: a new leader of partition 0 has only what is below 5
		p := s.fake.parts[partition(1)]
		end := s.number(words[2])
		p.log = slices.DeleteFunc(p.log, func(b record.Batch) bool { return b.BaseOffset() >= kafka.Offset(end) })
		p.epochEnds = map[int32]int64{p.epoch: end}
		s.fake.move(partition(1), p.leader)
	case "move": // move 0 1: broker 1 is the leader of partition 0
		s.fake.move(partition(1), int32(s.number(words[2])))
	case "forget-sessions":
		clear(s.fake.sessions)
	case "reset": // reset 0: the connections with broker 0 break
		s.fake.w.Network().Reset("client", s.fake.host(int32(s.number(words[1]))))
	case "down": // down 0: broker 0's host loses power
		s.fake.w.Host(s.fake.host(int32(s.number(words[1])))).PowerOff()
	case "kill": // kill 0: the process of broker 0 dies, and its host refuses connections
		s.fake.w.Host(s.fake.host(int32(s.number(words[1])))).Kill()
	case "up":
		s.fake.w.Host(s.fake.host(int32(s.number(words[1])))).Restart()
	case "wait": // wait 20: time passes
		s.host.Sleep(time.Duration(s.number(words[1])) * time.Millisecond)
	default:
		if !s.doGroup(words) && !s.doTxn(words) {
			s.t.Fatalf("command %q is unknown", words[0])
		}
	}
}

func (s *story) set(cfg any, words []string) {
	for _, word := range words {
		name, value, _ := strings.Cut(word, "=")
		require.NoError(s.t, config.Set(cfg, name, value))
	}
}

func (s *story) act(words []string) (a act) {
	a.append = slices.Contains(words, "appended")
	switch words[0] {
	case "drop":
		a.drop = true
	case "late":
		a.delay = time.Duration(s.number(words[1])) * time.Millisecond
	case "append":
	default:
		a.err = errorNamed(s.t, words[0])
	}
	return a
}

func errorNamed(t *testing.T, name string) *kerr.Error {
	for code := range int16(200) {
		if err := kerr.TypedErrorForCode(code); err != nil && err.Message == name {
			return err
		}
	}
	t.Fatalf("Kafka has no error %s", name)
	return nil
}

func (s *story) send(tp kafka.TopicPartition, value string) {
	err := s.producer.Send(ProducerRecord{Topic: tp.Topic, Partition: To(tp.Partition), Value: []byte(value)}, func(d Delivery) {
		switch {
		case d.Outcome == Acknowledged:
			s.say("%s is acknowledged at offset %d of %v", value, d.Offset, d.Partition)
		default:
			s.say("%s: %v: %v", value, d.Outcome, d.Err)
		}
	})
	if err != nil {
		s.say("%s is not taken: %v", value, err)
	}
}

func (s *story) polled(records []ConsumerRecord, err error) {
	if err != nil {
		s.say("poll: %v", err)
	} else if len(records) == 0 {
		s.say("poll: nothing")
	}
	for _, r := range records {
		s.say("polled %s, offset %d of %v, epoch %d", r.Value, r.Offset, r.Partition, r.LeaderEpoch)
	}
}

// answered writes down a request that a broker has answered, and how; nil: not at all.
func (s *story) answered(node int32, req kmsg.Request, resp kmsg.Response) {
	if s.groups && quiet(req) {
		return
	}
	asked, answer := "", ""
	switch req := req.(type) {
	case *kmsg.ApiVersionsRequest:
		return
	case *kmsg.ProduceRequest:
		r, _ := resp.(*kmsg.ProduceResponse)
		asked, answer = s.produceText(req), s.producedText(r)
	case *kmsg.FetchRequest:
		asked, answer = s.fetchText(req), s.fetchedText(resp.(*kmsg.FetchResponse))
	case *kmsg.InitProducerIDRequest, *kmsg.AddPartitionsToTxnRequest, *kmsg.AddOffsetsToTxnRequest, *kmsg.TxnOffsetCommitRequest, *kmsg.EndTxnRequest:
		asked, answer = txnText(req, resp)
	case *kmsg.MetadataRequest:
		answer = metadataText(resp.(*kmsg.MetadataResponse))
	case *kmsg.ListOffsetsRequest:
		for _, p := range req.Topics[0].Partitions {
			asked += fmt.Sprintf(" %d for %d", p.Partition, p.Timestamp)
		}
		for _, p := range resp.(*kmsg.ListOffsetsResponse).Topics[0].Partitions {
			answer += text(p.ErrorCode, fmt.Sprintf(" offset %d, epoch %d", p.Offset, p.LeaderEpoch))
		}
	case *kmsg.OffsetForLeaderEpochRequest:
		for _, p := range req.Topics[0].Partitions {
			asked += fmt.Sprintf(" %d for epoch %d", p.Partition, p.LeaderEpoch)
		}
		for _, p := range resp.(*kmsg.OffsetForLeaderEpochResponse).Topics[0].Partitions {
			answer += text(p.ErrorCode, fmt.Sprintf(" ends at %d", p.EndOffset))
		}
	}
	if asked == "" && answer == "" {
		asked, answer = s.groupText(req, resp)
		if answer == "" {
			return
		}
	}
	s.say("broker %d: %s%s -> %s", node, kmsg.NameForKey(req.Key()), asked, strings.TrimSpace(answer))
}

// text is the name of an error, or what is said without one.
func text(code int16, fine string) string {
	if code == 0 {
		return fine
	}
	return " " + kerr.TypedErrorForCode(code).Message
}

func (s *story) produceText(req *kmsg.ProduceRequest) (all string) {
	for _, t := range req.Topics {
		for _, p := range t.Partitions {
			b, _, err := record.Next(p.Records)
			require.NoError(s.t, err)
			all += fmt.Sprintf(" %d %v", p.Partition, (&fakePartition{log: []record.Batch{b}}).values(s.t))
			if b.HasProducer() {
				all += fmt.Sprintf(" epoch %d, sequence %d", b.ProducerEpoch(), b.BaseSequence())
			}
		}
	}
	return all
}

func (s *story) producedText(resp *kmsg.ProduceResponse) (all string) {
	if resp == nil {
		return "no answer"
	}
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			all += text(p.ErrorCode, fmt.Sprintf(" offset %d", p.BaseOffset))
			if p.CurrentLeader.LeaderID >= 0 {
				all += fmt.Sprintf(" (leader %d)", p.CurrentLeader.LeaderID)
			}
		}
	}
	return all
}

func (s *story) fetchText(req *kmsg.FetchRequest) (all string) {
	if req.SessionEpoch == 0 {
		all = " in a new session"
	}
	for _, t := range req.Topics {
		for _, p := range t.Partitions {
			all += fmt.Sprintf(" %d from %d", p.Partition, p.FetchOffset)
		}
	}
	for _, t := range req.ForgottenTopics {
		for _, p := range t.Partitions {
			all += fmt.Sprintf(" forget %d", p)
		}
	}
	return all
}

func (s *story) fetchedText(resp *kmsg.FetchResponse) (all string) {
	all = text(resp.ErrorCode, "")
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			n := 0
			for rest := p.RecordBatches; len(rest) > 0; {
				b, next, err := record.Next(rest)
				require.NoError(s.t, err)
				n, rest = n+int(b.Count()), next
			}
			all += text(p.ErrorCode, fmt.Sprintf(" %d: %d records", p.Partition, n))
		}
	}
	if all == "" {
		return "nothing new"
	}
	return all
}

func metadataText(resp *kmsg.MetadataResponse) (all string) {
	for _, t := range resp.Topics {
		if t.ErrorCode != 0 {
			all += fmt.Sprintf(" %s: %s", *t.Topic, text(t.ErrorCode, ""))
			continue
		}
		all += " leaders"
		for _, p := range t.Partitions {
			all += fmt.Sprintf(" %d", p.Leader)
		}
	}
	return all
}
