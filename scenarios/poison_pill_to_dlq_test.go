package scenarios

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ktrial/ktrial/checkers/history"
)

// passed is a send to a topic, with its outcome.
type passed struct {
	topic   string
	outcome history.Type
}

func TestPoisonIsSetAside(t *testing.T) {
	good, bad := "order-a", "order-a"
	for i := 0; Poisoned.IsPoison(good); i++ {
		good += "x"
	}
	for i := 0; !Poisoned.IsPoison(bad); i++ {
		bad += "y"
	}
	in, retry, dead := passed{"orders", history.OK}, passed{"orders-retry", history.OK}, passed{"orders-dead", history.OK}
	for _, c := range []struct {
		name  string
		key   string
		sends []passed
		want  string // in the message; empty: holds
	}{
		{"processed", good, []passed{in}, ""},
		{"passed on all the same", good, []passed{in, retry}, "can be processed, and was passed on"},
		{"tried and set aside", bad, []passed{in, retry, retry, dead}, ""},
		{"some of it twice, after a crash", bad, []passed{in, retry, retry, retry, dead, dead}, ""},
		{"an attempt of which it is not known whether it was written", bad, []passed{in, retry, {"orders-retry", history.Unknown}, dead}, ""},
		{"lost", bad, []passed{in}, "is not among the dead letters"},
		{"lost on the way", bad, []passed{in, retry, retry}, "is not among the dead letters"},
		{"set aside, and not for certain", bad, []passed{in, retry, retry, {"orders-dead", history.Unknown}}, "is not among the dead letters"},
		{"given up too soon", bad, []passed{in, retry, dead}, "was tried again 1 times"},
		{"never sent", bad, []passed{{"orders", history.Unknown}}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := history.NewRecorder()
			for i, s := range c.sends {
				m := history.Mop{Kind: history.MopSend, Key: history.Partition(s.topic, 0), Value: history.Int(int64(i)), Attributes: history.Attributes{RecordKey: history.Text(c.key)}}
				e := history.Event{Process: int64(i), F: history.Send, Mops: []history.Mop{m}}
				r.Invoke(e)
				e.Type = s.outcome
				r.Complete(e)
			}
			found := poisonIsSetAside(Poisoned).Run(r.History())
			if c.want == "" {
				assert.Empty(t, found.Broken)
				return
			}
			require.Len(t, found.Broken, 1)
			assert.Contains(t, found.Broken[0].Message, c.want)
		})
	}
}
