package laws

import "testing"

// coordinate tells a story of coordinators.
func coordinate(t *testing.T, events string) *tally {
	c := NewCoordinators(nil)
	play(t, events, func(verb string, w *words) {
		switch verb {
		case "compare": // node offset, what it holds, what its log says
			c.Compared("__consumer_offsets/0", w.node(), w.num(), w.hash(), w.hash())
		default:
			t.Fatalf("unknown event %q", verb)
		}
	})
	return &c.tally
}

func TestCoordinators(t *testing.T) { tell(t, coordinations, coordinate) }

var coordinations = []tale{
	{"a coordinator holds what its log says", 0, `
		compare 1 5 77 77
		compare 2 9 78 78`},
	{"a coordinator holds what was never committed", 84, `
		compare 1 5 77 77
		compare 1 6 79 78`},
}
