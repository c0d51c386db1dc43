package detect

import (
	"testing"

	"github.com/ktrial/ktrial/checkers/internal/drawn"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// The zones of a register with unique values say what a search says.
func TestRegisterZonesAgreeWithPorcupine(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ops := drawOps(t, 9, func(i int) int64 { return rapid.Int64Range(-1, int64(i)).Draw(t, "value") })
		var register []registerOp
		for i, op := range ops {
			r := registerOp{write: op.Append, value: op.Offset, call: op.Call, ret: op.Ret, row: i}
			if r.write {
				r.value = int64(i)
				if rapid.IntRange(0, 5).Draw(t, "crashed") == 0 {
					r.ret = noEnd
				}
			}
			register = append(register, r)
		}
		rows, verdict := judgeRegister(register, -1, registerSteps)
		steps := registerSteps
		require.Equal(t, searchRegister(register, &steps), verdict, "%+v", register)
		if verdict == broken {
			require.NotEmpty(t, rows)
			require.LessOrEqual(t, len(rows), 4)
		}
	})
}

// A register whose values repeat is judged as a search judges it, and what is
// left of it proves as much.
func TestRepeatedValuesAgreeWithPorcupine(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var register []registerOp
		for i, op := range drawOps(t, 9, func(int) int64 { return rapid.Int64Range(-1, 2).Draw(t, "value") }) {
			r := registerOp{write: op.Append, value: op.Offset, call: op.Call, ret: op.Ret, row: i}
			if r.write && rapid.IntRange(0, 5).Draw(t, "crashed") == 0 {
				r.ret = noEnd
			}
			register = append(register, r)
		}
		rows, verdict := judgeRegister(register, -1, registerSteps)
		steps := registerSteps
		require.Equal(t, searchRegister(register, &steps), verdict, "%+v", register)
		if verdict == broken {
			require.NotEmpty(t, rows)
			require.LessOrEqual(t, len(rows), len(register))
		}
	})
}

// What proves that a register with repeated values was misread is small, and
// leaves out nothing that would excuse it.
func TestAViolationOfARegisterIsShrunk(t *testing.T) {
	var ops []registerOp
	add := func(write bool, value int64) {
		at := int64(2 * len(ops))
		ops = append(ops, registerOp{write: write, value: value, call: at, ret: at + 1, row: len(ops)})
	}
	for i := range int64(1000) {
		add(true, i%3)
		add(false, i%3)
	}
	add(false, 2) // the last commit was 0
	rows, verdict := judgeRegister(ops, -1, registerSteps)
	require.Equal(t, broken, verdict)
	require.Equal(t, []int{1998, 2000}, rows)

	rows, verdict = judgeRegister(append(ops[:2000:2000], registerOp{value: 77, call: 4000, ret: 4001, row: 2000}), -1, registerSteps)
	require.Equal(t, broken, verdict)
	require.Equal(t, []int{2000}, rows, "it was never written")
}

// A search that runs out of steps is inconclusive, and the same every time.
func TestASearchEndsWithItsBudget(t *testing.T) {
	var ops []registerOp
	for i := range int64(60) {
		ops = append(ops, registerOp{write: i%2 == 0, value: i % 6 / 2, call: i, ret: 1000 - i, row: int(i)})
	}
	ops = append(ops, registerOp{value: 0, call: 2000, ret: 2001}, registerOp{value: 1, call: 2002, ret: 2003})
	for range 3 {
		_, verdict := judgeRegister(ops, -1, 10_000)
		require.Equal(t, unknown, verdict)
	}
}

// drawOps draws at most so many operations.
func drawOps(t *rapid.T, most int, offset func(i int) int64) []drawn.Op {
	return drawn.Ops(rapid.SliceOfN(rapid.Bool(), 1, most).Draw(t, "appends"), offset,
		func(ready []int) int { return rapid.SampledFrom(ready).Draw(t, "next") })
}
