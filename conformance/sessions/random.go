package sessions

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

func pick[T any](r *rand.Rand, xs ...T) T { return xs[r.IntN(len(xs))] }

// drawVersions pins each key to any version that both sides know.
func (s *session) drawVersions(keys []int16) {
	s.pin = map[int16]int16{}
	for _, key := range keys {
		v := common(key)
		s.pin[key] = v[0] + int16(s.rng.IntN(int(v[1]-v[0])+1))
	}
}

// random plays steps drawn from a seed on two topics until something differs.
func random(s *session, steps int) {
	r := s.rng
	a, b := s.make("ra", 3), s.make("rb", 2, "cleanup.policy", pick(r, "delete", "compact"), "max.message.bytes", pick(r, "400", "1048588"))
	topics := []string{a, a, a, b, b, a + "-nope"}
	s.newPID()
	seqs := map[string]int32{}
	ends := map[string]int64{}
	sessEpoch := int32(-2)
	extra := 0
	for range steps {
		if s.over {
			return
		}
		s.drawVersions(commonKeys())
		t := pick(r, topics...)
		part := pick(r, int32(0), 0, 0, 1, 1, 2, 7)
		lead := int(part)%3 + 1
		if r.IntN(12) == 0 {
			lead = r.IntN(3) + 1
		}
		key := fmt.Sprint(t, part)
		epoch := pick(r, int32(-1), -1, -1, 0, 0, 1)
		off := pick(r, 0, ends[key], ends[key]/2, ends[key]+1, int64(r.IntN(int(ends[key]+3))), -1)
		switch r.IntN(14) {
		case 0, 1, 2: // produce
			o := plain(r.IntN(6) + 1)
			o.gzip = r.IntN(4) == 0
			o.noKey = r.IntN(6) == 0
			o.nullVal = r.IntN(8) == 0
			o.size = pick(r, 0, 0, 20, 200)
			o.badCRC = r.IntN(15) == 0 && o.size < 200
			o.ts = base + int64(r.IntN(10000))
			o.tsStep = int64(r.IntN(50)) - 5
			if o.tsStep < 0 {
				o.maxTS = o.ts
			}
			if r.IntN(20) == 0 {
				o.count = 3
			}
			acks := pick(r, int16(-1), -1, -1, 1)
			pk := reply(s.do("random produce", lead, s.produce(t, part, acks, build(o))))
			if lead == int(part)%3+1 {
				if k, ok := pk.(*kmsg.ProduceResponse); ok && len(k.Topics) == 1 && len(k.Topics[0].Partitions) == 1 && k.Topics[0].Partitions[0].ErrorCode == 0 {
					ends[key] = k.Topics[0].Partitions[0].BaseOffset + int64(o.n)
					s.reach(t, part, lead, ends[key])
				}
			}
		case 3, 4: // idempotent produce
			n := r.IntN(4) + 1
			sq := seqs[key]
			o := rb{n: n, seq: sq}
			good := true
			switch r.IntN(6) {
			case 0:
				o.seq, good = sq+int32(r.IntN(3)+1), false
			case 1:
				o.seq, good = max(0, sq-int32(r.IntN(8))), false
			case 2:
				o.epoch, good = int16(r.IntN(2)), false
			}
			k := reply(s.do("random idempotent", lead, s.idem(t, part, -1, 0, o)))
			if p, ok := k.(*kmsg.ProduceResponse); ok && good && len(p.Topics) == 1 && len(p.Topics[0].Partitions) == 1 && p.Topics[0].Partitions[0].ErrorCode == 0 {
				seqs[key] = sq + int32(n)
			}
			if e, ok := s.first().end(t, part, int(part)%3+1, 0); ok {
				ends[key] = e
			}
		case 5, 6: // fetch
			s.do("random fetch", int(part)%3+1, s.fetch(fetchOpt{maxB: pick(r, int32(0), 1, 100, 300, 1000), iso: int8(r.IntN(2))}, fetchPart{t, part, off, epoch, pick(r, int32(0), 0, 1, 100, 300)}))
		case 7, 8: // session fetch at broker 1
			switch {
			case sessEpoch == -2 || r.IntN(6) == 0:
				k, o := s.do("random full fetch", 1, s.fetch(fetchOpt{epoch: 0}, fetchPart{a, 0, 0, -1, pick(r, int32(0), 200)}, fetchPart{b, 0, 0, epoch, 0}))
				s.keep(k, o)
				sessEpoch = 1
			default:
				o := fetchOpt{session: -1, epoch: sessEpoch}
				if r.IntN(10) == 0 {
					o.epoch += int32(r.IntN(3)) - 1
				}
				var ps []fetchPart
				if r.IntN(2) == 0 {
					ps = append(ps, fetchPart{t, pick(r, int32(0), 0, 7), off, epoch, pick(r, int32(0), 0, 1, 200)})
				}
				if r.IntN(4) == 0 {
					o.forget = append(o.forget, fetchPart{topic: pick(r, a, b), part: 0})
				}
				k, oo := s.do("random incremental fetch", 1, s.fetch(o, ps...))
				s.keep(k, oo)
				if x, ok := theirs[*kmsg.FetchResponse](k, oo); ok && x.ErrorCode == 0 {
					sessEpoch++
				}
			}
		case 9:
			ts := pick(r, int64(-1), -2, -3, base+int64(r.IntN(11000)), 0)
			if ts == -3 {
				s.pin[2] = max(s.pin[2], 7)
			}
			step := "random list offsets"
			if ts == -3 {
				step = "random max timestamp"
			}
			s.do(step, lead, s.list(t, part, ts, int8(r.IntN(2)), epoch))
		case 10:
			s.do("random leader epoch", lead, s.leaderEpoch(t, part, epoch, pick(r, int32(0), 0, 1, -1, 5)))
		case 11:
			if r.IntN(2) == 0 {
				s.do("random delete records", lead, s.deleteRecords(offsetAt{t, part, off}))
			} else {
				s.pin[3] = max(s.pin[3], 4) // older ones create topics
				s.do("random metadata", r.IntN(3)+1, s.metadata(false, r.IntN(2) == 0, t, pick(r, a, b)))
			}
		case 12:
			c := pick(r, change{name: "segment.ms", value: "86400000000"}, change{name: "segment.ms", op: 1, null: true}, change{name: "max.message.bytes", value: pick(r, "100", "x", "100000")},
				change{name: "cleanup.policy", op: 2, value: pick(r, "compact", "delete")}, change{name: "cleanup.policy", op: 3, value: pick(r, "compact", "delete")}, change{name: "nope", value: "1"})
			if t == topics[5] {
				c = change{name: "retention.ms", value: "1"}
			}
			s.do("random alter", r.IntN(3)+1, s.alter(r.IntN(3) == 0, 2, t, c))
			s.heard(150 * time.Millisecond)
			s.do("random describe", r.IntN(3)+1, s.describeConfigs(2, t, r.IntN(2) == 0, false))
		case 13:
			switch r.IntN(3) {
			case 0:
				n := s.topic(fmt.Sprint("new", r.IntN(3)))
				s.tops = append(s.tops, n)
				s.do("random create", r.IntN(3)+1, s.create(r.IntN(2) == 0, newTopic{name: n, parts: pick(r, int32(1), 2, 0, -1), rf: pick(r, int16(1), 3, 4, -1), configs: pick(r, nil, [][2]string{{"retention.ms", "5"}}, [][2]string{{"x", "5"}})}))
				s.heard(150 * time.Millisecond)
			case 1:
				s.do("random partitions", r.IntN(3)+1, s.partitions(true, grow{t, int32(r.IntN(6)), nil}))
			case 2:
				extra++
				s.do("random delete", r.IntN(3)+1, s.remove(s.topic(fmt.Sprint("new", r.IntN(3)))))
				s.heard(150 * time.Millisecond)
			}
		}
	}
}
