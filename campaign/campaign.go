// Package campaign spreads a hunt over a fleet of machines.
//
// A server has the seeds of a hunt as items of work, each a range of seeds, in a NATS
// JetStream; workers take an item, have ktrial play it, and hand in its directory. Work
// is delivered at least once: an item is done when its results are stored, so that a worker
// which dies costs the range that it had, and one that was only slow hands in what another has
// handed in already. Results are a set: the first of an item counts, and the order does not matter.
//
// The package knows nothing of ktrial but its command line and the directory of a
// hunt, so that the server and the workers are a module of their own.
package campaign

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Names in JetStream. One server has one campaign.
const (
	workStream    = "KTRIAL_WORK"    // an item for each message; one that is acknowledged is gone
	resultStream  = "KTRIAL_RESULTS" // what was handed in and not yet taken
	workSubject   = "ktrial.work"
	resultSubject = "ktrial.results"
	beatSubject   = "ktrial.workers" // what each worker does, for the board; nothing is kept of it
	stateBucket   = "KTRIAL_STATE"   // the specification, and whether the campaign is over
	dirBucket     = "KTRIAL_DIRS"    // directories that were handed in, packed
	workers       = "workers"        // the consumer of the work
	server        = "server"         // the consumer of the results
)

// Keys of stateBucket.
const (
	specKey = "spec"
	overKey = "over" // why the campaign is over
)

// Spec is what a campaign plays: a hunt, and how it is cut into items.
type Spec struct {
	// Hunt are the arguments of `ktrial hunt` but for seeds, shard and directory: scenarios,
	// settings, planted bugs.
	Hunt []string `json:"hunt"`
	// First and Last are the seeds, both included, and Seeds how many of them an item has.
	First uint64 `json:"first"`
	Last  uint64 `json:"last"`
	Seeds uint64 `json:"seeds"`
	// Patience is after how long an item whose worker is silent is given to another one.
	Patience time.Duration `json:"patience"`
}

// Item is a range of seeds, both included.
type Item struct {
	First uint64 `json:"first"`
	Last  uint64 `json:"last"`
}

func (i Item) String() string { return fmt.Sprintf("%d..%d", i.First, i.Last) }

// dir is the name of the directory of its results.
func (i Item) dir() string { return fmt.Sprintf("part-%d-%d", i.First, i.Last) }

// result is what a worker hands in: the directory of an item, which is in dirBucket.
type result struct {
	Item   Item   `json:"item"`
	Worker string `json:"worker"`
	Object string `json:"object"`
}

// Check says what is wrong with the specification.
func (s Spec) Check() error {
	switch {
	case s.Last < s.First:
		return fmt.Errorf("seeds %d..%d: expected A..B with A not above B", s.First, s.Last)
	case s.Seeds < 1:
		return errors.New("found items of 0 seeds, expected 1 or more")
	case s.Patience < time.Second:
		return fmt.Errorf("found a patience of %v, expected a second or more", s.Patience)
	}
	for _, arg := range s.Hunt {
		name, _, _ := strings.Cut(arg, "=")
		if slices.Contains([]string{"--seeds", "--shard", "--out", "--force", "--resume", "--for", "--stop-at", "--junit", "--json", "--committed"}, name) {
			return fmt.Errorf("found %s among the arguments of hunt: the campaign itself says which seeds are played, and where results are kept", name)
		}
	}
	return nil
}

// Items are the ranges of the campaign, in order.
func (s Spec) Items() (items []Item) {
	for first := s.First; ; first += s.Seeds {
		last := min(s.Last, first+s.Seeds-1)
		if last < first { // the sum has overflowed
			last = s.Last
		}
		items = append(items, Item{first, last})
		if last == s.Last {
			return items
		}
	}
}

// ParseSeeds reads "A..B".
func ParseSeeds(text string) (first, last uint64, err error) {
	a, b, ok := strings.Cut(text, "..")
	if !ok {
		b = a
	}
	first, err1 := strconv.ParseUint(a, 10, 64)
	last, err2 := strconv.ParseUint(b, 10, 64)
	if err := errors.Join(err1, err2); err != nil || last < first {
		return 0, 0, fmt.Errorf("found seeds %q, expected A..B with A not above B, such as 1..500", text)
	}
	return first, last, nil
}

// specFile keeps the specification in the directory of a campaign.
const specFile = "campaign.json"

// enter makes the directory of a campaign, or finds in it the same campaign, which then
// goes on.
func (s Spec) enter(dir string) error {
	file := filepath.Join(dir, specFile)
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	text = append(text, '\n')
	earlier, err := os.ReadFile(file)
	switch {
	case err == nil && string(earlier) == string(text):
		return nil
	case err == nil:
		return fmt.Errorf("%s: found another campaign, expected an empty directory, or this one to go on with", file)
	case !errors.Is(err, os.ErrNotExist):
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	if len(entries) > 0 {
		return fmt.Errorf("%s: found %s, expected an empty directory", dir, entries[0].Name())
	}
	return os.WriteFile(file, text, 0o644)
}

// missing are the items whose results are not in the directory.
func (s Spec) missing(dir string) (items []Item) {
	for _, i := range s.Items() {
		if _, err := os.Stat(filepath.Join(dir, i.dir())); err != nil {
			items = append(items, i)
		}
	}
	return items
}
