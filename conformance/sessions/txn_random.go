package sessions

import (
	"github.com/twmb/franz-go/pkg/kmsg"
)

// randomTxns plays steps drawn from a seed on two transactional ids, two
// partitions and a group, until something differs.
func randomTxns(s *session, steps int) {
	r := s.rng
	t := s.make("rt", 2)
	at := []spot{{t, 0}, {t, 1}}
	g := s.group("rg")
	ids := []*txn{s.txn("ra"), s.txn("rb")}
	seqs := map[string]int32{} // by producer and partition
	for range steps {
		if s.over {
			return
		}
		s.drawVersions(append(txnKeys(), 0, 22))
		x, letter, p := pick(r, ids...), pick(r, "A", "A", "A", "B"), pick(r, at...)
		var lies []lie
		if r.IntN(6) == 0 {
			lies = append(lies, pick(r, later(1), later(-1), unknownProducer, as(s.prefix+"another")))
		}
		switch r.IntN(14) {
		case 0, 1:
			x.ask("random init", letter, x.begin(letter, pick(r, timeout(60000), timeout(60000), x.known(letter, pick(r, int16(0), 0, 0, 1, -1)))))
			x.settle()
		case 2, 3, 4:
			x.ask("random add", letter, x.add(letter, pick(r, at[:1], at[1:], at), lies...))
		case 5:
			x.ask("random verify", letter, x.verify(letter, pick(r, at[:1], at[1:], at), lies...))
		case 6, 7, 8:
			key := x.id + letter + string(rune('0'+p.part))
			seq := pick(r, seqs[key], seqs[key], seqs[key], 0)
			k, o := s.do("random produce", int(p.part)+1, x.produce(letter, p, rb{n: 1, seq: seq}, lies...))
			if a, ok := theirs[*kmsg.ProduceResponse](k, o); ok && len(a.Topics) == 1 && len(a.Topics[0].Partitions) == 1 && a.Topics[0].Partitions[0].ErrorCode == 0 {
				seqs[key] = seq + 1
			}
		case 9, 10:
			x.ask("random end", letter, x.end(letter, r.IntN(2) == 0, lies...))
			x.settle()
		case 11:
			x.ask("random add of offsets", letter, x.addOffsets(letter, g.name, lies...))
		case 12:
			g.ask("random commit of offsets", "", x.commit(letter, g, "", []committed{{t, p.part, int64(r.IntN(50)), ""}}, lies...))
		case 13:
			x.describe("random describe")
			s.seen("random look", p)
			g.ask("random offsets", "", g.offsets([]asked{{t, []int32{0, 1}}}))
		}
	}
	for _, x := range ids { // nothing is left open
		s.pin = nil
		x.ask("random last init", "A", x.begin("A"))
		x.settle()
	}
}
