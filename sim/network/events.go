package network

import "github.com/ktrial/ktrial/ledger"

// What happens to a link, from one host to another.
type (
	// Cut: the link carries nothing any more.
	Cut struct{ Direction }
	// Mended: one cut of the link was taken back.
	Mended struct{ Direction }
	// Vanished: what is sent over a connection that something on the way has forgotten (HalfOpen)
	// is lost, and its sender waits for an answer. Told of the first bytes of each end.
	Vanished struct{ Direction }
	// GivenUp: that end is closed.
	GivenUp struct{ Direction }
)

// Direction is a link, by the names of its hosts.
type Direction struct {
	From string `json:"from"`
	To   string `json:"to"`
}

var (
	cut    = ledger.Declare[Cut]("link-cut", "a link carries nothing any more", ledger.Detail)
	mended = ledger.Declare[Mended]("link-mended", "a cut of a link was taken back", ledger.Detail)

	vanished = ledger.Declare[Vanished]("connection-vanished", "what is sent over a half-open connection is lost", ledger.Detail)
	givenUp  = ledger.Declare[GivenUp]("connection-given-up", "the sender on a half-open connection closes it", ledger.Detail)
)

func (e *Cut) Kind() *ledger.Kind    { return cut }
func (e *Mended) Kind() *ledger.Kind { return mended }

func (e *Vanished) Kind() *ledger.Kind { return vanished }
func (e *GivenUp) Kind() *ledger.Kind  { return givenUp }

func (e *Cut) Sentence() string    { return "the link from " + e.From + " to " + e.To + " is cut" }
func (e *Mended) Sentence() string { return "the link from " + e.From + " to " + e.To + " is mended" }

func (e *Vanished) Sentence() string {
	return "what " + e.From + " sends to " + e.To + " is lost: the connection is half open"
}
func (e *GivenUp) Sentence() string {
	return e.From + " has given up a half-open connection to " + e.To
}
