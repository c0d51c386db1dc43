package client

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"pgregory.net/rapid"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/record"
	"github.com/ktrial/ktrial/internal/golden"
	"github.com/ktrial/ktrial/sim/env"
)

// What a producer makes of each error of each request about transactions, as a table.
// It is Kafka's: TransactionManager.TxnRequestHandler.
func TestTransactions_Reactions(t *testing.T) {
	verdicts := []string{"fine", "again", "find, again", "abort", "init again", "close"}
	kinds := []transactionKind{initProducerID, addPartitions, addOffsets, commitOffsets, endTxn}
	out := fmt.Sprintf("%-38s", "answer")
	for _, kind := range kinds {
		out += fmt.Sprintf("%-20s", kind)
	}
	out += "an EndTxn that aborts\n"
	for code := range int16(137) {
		err := kerr.TypedErrorForCode(code)
		if code != 0 && err == nil {
			continue
		}
		name := "NONE"
		if err != nil {
			name = err.Message
		}
		row, usual := fmt.Sprintf("%-38s", name), true
		for i := range len(kinds) + 1 {
			kind := kinds[min(i, len(kinds)-1)]
			v := kind.reaction(err, i == len(kinds))
			text := verdicts[v.verdict]
			if v.bump {
				text += ", new epoch"
			}
			row += fmt.Sprintf("%-20s", text)
			usual = usual && v.verdict == []transactionVerdict{mustClose, mustAbort, mustClose, mustClose, mustClose, mustClose}[i]
		}
		if !usual {
			out += strings.TrimRight(row, " ") + "\n"
		}
	}
	out += fmt.Sprintf("%-38s", "all others") + "close               abort               close               close               close               close\n"
	golden.File(t, "testdata/transactional-errors.txt", out)
}

// A call out of turn is refused and changes nothing.
func TestTransactions_CallsOutOfTurn(t *testing.T) {
	f := newFake(t, 1, 1, map[string]int32{"orders": 1})
	f.run(func(h env.Host, c *Client) {
		p := producer(t, c, quick("transactional.id=till"))
		assert.ErrorContains(t, p.BeginTransaction(), "invalid transition attempted from state UNINITIALIZED to state IN_TRANSACTION")
		assert.ErrorContains(t, p.CommitTransaction(), "from state UNINITIALIZED to state COMMITTING_TRANSACTION")
		assert.ErrorContains(t, p.AbortTransaction(), "from state UNINITIALIZED to state ABORTING_TRANSACTION")
		require.NoError(t, p.InitTransactions())
		assert.ErrorContains(t, p.InitTransactions(), "from state READY to state INITIALIZING")
		assert.ErrorContains(t, p.SendOffsets(Offsets{orders(0): {Offset: 1}}, GroupMetadata{Group: "g", Generation: -1}), "currentState= READY")
		require.NoError(t, p.BeginTransaction())
		assert.ErrorContains(t, p.BeginTransaction(), "from state IN_TRANSACTION to state IN_TRANSACTION")
		assert.ErrorContains(t, p.SendOffsets(Offsets{orders(0): {Offset: 1}}, GroupMetadata{Group: "g", Generation: 3}), "generation > 0 but the member id is unknown")
		require.NoError(t, p.SendOffsets(nil, GroupMetadata{Group: "g", Generation: -1}))
		require.NoError(t, p.CommitTransaction())

		plain := producer(t, c, quick())
		assert.ErrorContains(t, plain.InitTransactions(), "non-transactional producer")
		p.Close(0)
		assert.ErrorIs(t, p.BeginTransaction(), env.ErrClosed)
	})
}

// A record that cannot be taken spoils its transaction.
func TestTransactions_ARecordThatIsTooLarge(t *testing.T) {
	f := newFake(t, 1, 1, map[string]int32{"orders": 1})
	f.run(func(h env.Host, c *Client) {
		p := producer(t, c, quick("transactional.id=till", "max.request.size=1000"))
		require.NoError(t, p.InitTransactions())
		require.NoError(t, p.BeginTransaction())
		require.NoError(t, p.SendSync(to(0, "small")).Err)
		assert.ErrorIs(t, p.Send(to(0, strings.Repeat("large", 300)), nil), kerr.MessageTooLarge)
		assert.ErrorIs(t, p.CommitTransaction(), ErrAbortable)
		require.NoError(t, p.AbortTransaction())
	})
}

// A retry keeps the order of what is under way.
func TestTransactions_KeepOrder(t *testing.T) {
	f := newFake(t, 3, 1, map[string]int32{"orders": 1})
	f.finalize(2)
	batches := 0
	f.onProduce = func(_ kafka.TopicPartition, b record.Batch) act {
		if batches++; batches == 2 {
			return act{err: kerr.NotEnoughReplicas}
		}
		return act{}
	}
	f.run(func(h env.Host, c *Client) {
		p := producer(t, c, quick("transactional.id=till", "linger.ms=0"))
		require.NoError(t, p.InitTransactions())
		require.NoError(t, p.BeginTransaction())
		for i := range 20 {
			require.NoError(t, p.Send(to(0, fmt.Sprint("v", i)), nil))
			h.Sleep(10 * time.Millisecond)
		}
		require.NoError(t, p.CommitTransaction())
	})
	var want []string
	for i := range 20 {
		want = append(want, fmt.Sprint("v", i))
	}
	assert.Greater(t, batches, 5)
	assert.Equal(t, want, f.parts[orders(0)].values(t))
}

// Whatever goes wrong, what a transaction wrote is seen whole or not at all, in its order:
// whole if the commit was confirmed, not at all if the abort was, and if neither was
// as the next producer finds it.
func TestTransactions_AreAtomic(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		f := newFake(t, rapid.Uint64Range(1, 1<<30).Draw(rt, "seed"), 2, map[string]int32{"orders": 3})
		version := rapid.Int16Range(1, 2).Draw(rt, "transaction.version")
		f.finalize(version)
		acts := []act{{}, {}, {}, {}, {err: kerr.NotEnoughReplicas}, {err: kerr.RequestTimedOut, append: true}, {drop: true}, {drop: true, append: true}, {err: kerr.InvalidRecord}, {delay: 900 * time.Millisecond}}
		f.onProduce = func(kafka.TopicPartition, record.Batch) act {
			return acts[f.w.Rand("acts").IntN(len(acts))]
		}
		trouble := rapid.SliceOfN(rapid.IntRange(0, 9), 30, 30).Draw(rt, "trouble")
		m := &atomicModel{t: t, f: f, fate: map[string]string{}}
		f.run(func(h env.Host, c *Client) {
			for round := range 2 {
				m.life(h, c, round, trouble[round*15:(round+1)*15])
			}
			m.fence(c)
		})
		m.judge(rt)
	})
}

// atomicModel remembers what became of each transaction.
type atomicModel struct {
	t    *testing.T
	f    *fake
	fate map[string]string // of a transaction: committed, aborted, unknown
	ids  []string
}

// life is a producer that makes five transactions, or fewer if it must be closed.
func (m *atomicModel) life(h env.Host, c *Client, round int, trouble []int) {
	p := producer(m.t, c, quick("transactional.id=till", "max.block.ms=20000", "delivery.timeout.ms=2000"))
	require.NoError(m.t, p.InitTransactions())
	for n := range 5 {
		id := fmt.Sprintf("t%d-%d", round, n)
		if p.BeginTransaction() != nil {
			break
		}
		m.ids = append(m.ids, id)
		for i := range 6 {
			// Records that are not taken spoil the transaction, which is found below.
			_ = p.Send(to(int32(i%3), fmt.Sprintf("%s/%d", id, i)), nil)
			h.Sleep(time.Millisecond)
		}
		switch trouble[n*3] {
		case 0:
			m.f.groups.coordinator = 1 - m.f.groups.coordinator
		case 1:
			m.f.w.Network().Reset("client", m.f.host(m.f.groups.coordinator))
		case 2:
			m.f.move(orders(0), 1-m.f.parts[orders(0)].leader)
		}
		m.fate[id] = "unknown"
		if trouble[n*3+1] > 1 {
			err := p.CommitTransaction()
			if err == nil {
				m.fate[id] = "committed"
				continue
			}
			require.True(m.t, errors.Is(err, ErrAbortable) || errors.Is(err, ErrFatal), "%v", err)
		}
		if p.AbortTransaction() == nil {
			m.fate[id] = "aborted"
			continue
		}
		break
	}
	if trouble[2] > 4 {
		p.Close(10 * time.Second)
	} else {
		p.Close(0)
	}
}

// fence ends what may be open.
func (m *atomicModel) fence(c *Client) {
	m.f.onProduce = nil
	p := producer(m.t, c, quick("transactional.id=till", "max.block.ms=60000"))
	require.NoError(m.t, p.InitTransactions())
	p.Close(0)
}

func (m *atomicModel) judge(t *rapid.T) {
	var got []string
	m.f.run(func(h env.Host, c *Client) {
		r := consumer(m.t, c, "isolation.level=read_committed")
		r.Assign([]kafka.TopicPartition{orders(0), orders(1), orders(2)})
		for empty := 0; empty < 3; {
			records, err := r.Poll(time.Second)
			require.NoError(t, err)
			got = append(got, valuesOf(records)...)
			if empty++; len(records) > 0 {
				empty = 0
			}
		}
	})
	for _, id := range m.ids {
		var seen []string
		for _, v := range got {
			if strings.HasPrefix(v, id+"/") {
				seen = append(seen, v[len(id)+1:])
			}
		}
		sorted := slices.Sorted(slices.Values(seen))
		whole := slices.Equal(sorted, []string{"0", "1", "2", "3", "4", "5"})
		switch m.fate[id] {
		case "committed":
			require.True(t, whole, "%s is committed: %v", id, seen)
		case "aborted":
			require.Empty(t, seen, "%s is aborted", id)
		default:
			require.True(t, whole || len(seen) == 0, "%s is torn: %v", id, seen)
		}
		for i := range 3 {
			first, second := slices.Index(seen, fmt.Sprint(i)), slices.Index(seen, fmt.Sprint(i+3))
			require.LessOrEqual(t, first, second, "order of %s", id)
		}
	}
}

// A transaction that the coordinator has forgotten hides what is behind it until an
// admin finds it and writes its end (KIP-664). One that the coordinator knows is left alone.
func TestAdmin_HangingTransaction(t *testing.T) {
	f := newFake(t, 1, 2, map[string]int32{"orders": 2})
	f.finalize(2)
	f.run(func(h env.Host, c *Client) {
		for _, id := range []string{"lost", "known"} {
			p := producer(t, c, quick("transactional.id="+id))
			require.NoError(t, p.InitTransactions())
			require.NoError(t, p.BeginTransaction())
			require.NoError(t, p.SendSync(to(0, id)).Err)
			p.closed = true // it stops without a word
			p.net.close()
		}
		lost := f.txns.ids["lost"]
		delete(lost.members, orders(0))

		a := c.NewAdmin(AdminDefaults())
		listed, err := a.ListTransactions(TransactionFilter{})
		require.NoError(t, err)
		assert.Equal(t, []TransactionListing{{"known", f.txns.ids["known"].id, "Ongoing"}, {"lost", lost.id, "Ongoing"}}, listed)
		d, err := a.DescribeTransaction("known")
		require.NoError(t, err)
		assert.Equal(t, []kafka.TopicPartition{orders(0)}, d.Partitions)
		assert.Equal(t, time.Minute, d.Timeout)
		_, err = a.DescribeTransaction("nobody")
		assert.ErrorIs(t, err, kerr.TransactionalIDNotFound)

		hanging, err := a.FindHanging(time.Minute, orders(0), orders(1))
		require.NoError(t, err)
		require.Len(t, hanging, 1)
		assert.Equal(t, "lost", hanging[0].TransactionalID)
		assert.Equal(t, kafka.Offset(0), f.parts[orders(0)].stable())
		require.NoError(t, a.AbortHanging(hanging[0]))
		assert.Equal(t, kafka.Offset(1), f.parts[orders(0)].stable(), "the other is still open")
		hanging, err = a.FindHanging(time.Minute, orders(0), orders(1))
		require.NoError(t, err)
		assert.Empty(t, hanging)
		a.Close()
	})
}
