package checkers

import (
	"testing"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/ktrial/ktrial/checkers/history"
	"github.com/ktrial/ktrial/checkers/internal/drawn"
)

// record makes a history of drawn operations, each by its own process.
func record(ops []drawn.Op, event func(i int, op drawn.Op) history.Event) *history.History {
	h := history.New()
	for at := int64(0); at < int64(2*len(ops)); at++ {
		for i, op := range ops {
			e := event(i, op)
			e.Process = int64(i)
			switch at {
			case op.Call:
				e.Type, e.Mops = history.Invoke, asked(e.Mops)
				h.Add(&e)
			case op.Ret:
				e.Type = history.OK
				h.Add(&e)
			}
		}
	}
	return h
}

// logModel is a partition's log: an append lands at or above its end, and
// a client that reads the end is given one at or above it (markers may have
// moved it).
var logModel = porcupine.Model{
	Init: func() any { return int64(0) },
	Step: func(state, input, _ any) (bool, any) {
		op := input.(drawn.Op)
		end := op.Offset
		if op.Append {
			end++
		}
		return op.Offset >= state.(int64), end
	},
}

// The sweep of a log says what a search among all orders says.
func TestLogSweepAgreesWithPorcupine(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		offsets := rapid.Permutation([]int64{0, 1, 2, 3, 4, 5, 6, 7}).Draw(t, "offsets")
		if rapid.Bool().Draw(t, "nearly in order") {
			offsets = []int64{0, 1, 2, 3, 4, 5, 6, 7}
			i := rapid.IntRange(0, 6).Draw(t, "swap")
			offsets[i], offsets[i+1] = offsets[i+1], offsets[i]
		}
		ops := drawOps(t, 8, func(i int) int64 { return offsets[i] })
		var operations []porcupine.Operation
		for i, op := range ops {
			operations = append(operations, porcupine.Operation{ClientId: i, Input: op, Call: op.Call, Return: op.Ret})
		}
		h := record(ops, func(i int, op drawn.Op) history.Event {
			if op.Append {
				return history.Event{F: history.Send, Mops: []history.Mop{{Kind: history.MopSend, Key: history.Int(0), Value: history.Int(int64(i)), Offset: history.At(op.Offset)}}}
			}
			return history.Event{F: history.ListOffsets, Mops: []history.Mop{{Kind: history.MopEnd, Key: history.Int(0), Offset: history.At(op.Offset)}}}
		})
		j := Judge(h, Options{})
		appends, _ := j.Kept(LinearizableAppends)
		ends, _ := j.Kept(EndsDoNotGoBack)
		linearizable := Worst(appends, ends) != Violated
		require.Equal(t, porcupine.CheckOperations(logModel, operations), linearizable, "%+v", ops)
	})
}

// drawOps draws at most so many operations.
func drawOps(t *rapid.T, most int, offset func(i int) int64) []drawn.Op {
	return drawn.Ops(rapid.SliceOfN(rapid.Bool(), 1, most).Draw(t, "appends"), offset,
		func(ready []int) int { return rapid.SampledFrom(ready).Draw(t, "next") })
}
