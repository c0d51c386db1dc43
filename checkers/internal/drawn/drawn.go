// Package drawn draws operations that overlap, for properties of histories.
package drawn

// Op is an operation of a random history: it overlaps others, for its invocation and
// completion are shuffled among theirs.
type Op struct {
	Append    bool
	Offset    int64 // of the append; or the end that was read
	Call, Ret int64 // when it was invoked and completed, counted in events
}

// Ops makes an operation for each of appends, and draws the order of their events with
// next, which picks one of the operations that may go on: three are under way at once.
func Ops(appends []bool, offset func(i int) int64, next func(ready []int) int) []Op {
	ops := make([]Op, len(appends))
	for i := range ops {
		ops[i] = Op{Append: appends[i], Offset: offset(i), Call: -1, Ret: -1}
	}
	for event := range int64(2 * len(ops)) {
		var ready []int
		for i := range ops {
			if ops[i].Ret < 0 && (ops[i].Call >= 0 || i < 3 || ops[i-3].Ret >= 0) {
				ready = append(ready, i)
			}
		}
		if op := &ops[next(ready)]; op.Call < 0 {
			op.Call = event
		} else {
			op.Ret = event
		}
	}
	return ops
}
