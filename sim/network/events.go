package network

import "github.com/ktrial/ktrial/ledger"

// What happens to a link, from one host to another.
type (
	// Cut: the link carries nothing any more.
	Cut struct{ Direction }
	// Mended: one cut of the link was taken back.
	Mended struct{ Direction }
)

// Direction is a link, by the names of its hosts.
type Direction struct {
	From string `json:"from"`
	To   string `json:"to"`
}

var (
	cut    = ledger.Declare[Cut]("link-cut", "a link carries nothing any more", ledger.Detail)
	mended = ledger.Declare[Mended]("link-mended", "a cut of a link was taken back", ledger.Detail)
)

func (e *Cut) Kind() *ledger.Kind    { return cut }
func (e *Mended) Kind() *ledger.Kind { return mended }

func (e *Cut) Sentence() string    { return "the link from " + e.From + " to " + e.To + " is cut" }
func (e *Mended) Sentence() string { return "the link from " + e.From + " to " + e.To + " is mended" }
