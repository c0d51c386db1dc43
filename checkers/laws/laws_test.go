package laws

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A law that no breach trips says nothing by holding: each has a story that breaks it
// and no other.
func TestLaws_EachHasABreach(t *testing.T) {
	alone := map[int]bool{}
	look := func(tales []tale, run func(*testing.T, string) *tally) {
		for _, s := range tales {
			broken := map[int]bool{}
			for _, f := range run(t, s.events).Failures {
				broken[f.Law.Number] = true
			}
			alone[s.law] = alone[s.law] || len(broken) == 1
		}
	}
	look(replications, replicate)
	look(quorums, conspire)
	look(gatherings, gather)
	look(joins, replicate)
	look(rests, rest)
	look(openTransactions, replicate)
	look(decisions, decideEnds)
	require.NotEmpty(t, All())
	for _, l := range All() {
		assert.True(t, alone[l.Number], "law %d (%s): no story of replication_test.go, quorum_test.go, groups_test.go, transactions_test.go or healthy_test.go breaks it, and it alone", l.Number, l.About)
		assert.NotEmpty(t, l.Source)
		assert.NotEmpty(t, l.When)
	}
}

// A story is a list of events in words, and the law that breaks at its last
// line; 0: none does.
type tale struct {
	name   string
	law    int
	events string
}

// words reads "3 [1 2] 7" as numbers and lists.
type words struct {
	t    *testing.T
	line string
	rest []string
}

func (w *words) num() int64 {
	require.NotEmpty(w.t, w.rest, w.line)
	n, err := strconv.ParseInt(w.rest[0], 10, 64)
	require.NoError(w.t, err, w.line)
	w.rest = w.rest[1:]
	return n
}

func (w *words) node() Node   { return Node(w.num()) }
func (w *words) epoch() Epoch { return Epoch(w.num()) }

func (w *words) list() (nodes []Node) {
	require.NotEmpty(w.t, w.rest, w.line)
	require.True(w.t, strings.HasPrefix(w.rest[0], "["), w.line)
	for {
		word := w.rest[0]
		w.rest = w.rest[1:]
		if text := strings.Trim(word, "[]"); text != "" {
			n, err := strconv.Atoi(text)
			require.NoError(w.t, err, w.line)
			nodes = append(nodes, Node(n))
		}
		if strings.HasSuffix(word, "]") {
			return nodes
		}
	}
}

// is reports whether the next word is this one, and takes it if so.
func (w *words) is(word string) bool {
	if len(w.rest) == 0 || w.rest[0] != word {
		return false
	}
	w.rest = w.rest[1:]
	return true
}

// hash of a batch: the word at the end of the line, or 1.
func (w *words) hash() uint64 {
	if len(w.rest) == 0 {
		return 1
	}
	return uint64(w.num())
}

func play(t *testing.T, events string, do func(verb string, w *words)) {
	for _, line := range strings.Split(events, "\n") {
		if fields := strings.Fields(line); len(fields) > 0 {
			w := &words{t, line, fields[1:]}
			do(fields[0], w)
			assert.Empty(t, w.rest, line)
		}
	}
}

func tell(t *testing.T, tales []tale, run func(*testing.T, string) *tally) {
	for _, s := range tales {
		t.Run(fmt.Sprintf("%d %s", s.law, s.name), func(t *testing.T) {
			w := run(t, s.events)
			if s.law == 0 {
				assert.Empty(t, w.Failures)
				return
			}
			require.NotEmpty(t, w.Failures, "nothing broke")
			f := w.Failures[0]
			assert.Equal(t, s.law, f.Law.Number, f.String())
			assert.Equal(t, w.Events(), f.Event, "it broke before the last line: %v", f)
		})
	}
}
