package trial

import (
	"regexp"
	"slices"
	"strings"

	"github.com/ktrial/ktrial/reports"
)

// What nodes say of a change: who acts as controller; what a controller has
// decided of a partition; what its leader knows of the ISR at first, and later.
var (
	saysActive  = regexp.MustCompile(`^controller: active in epoch`)
	saysDecided = regexp.MustCompile(`^controller: (\S+/\d+): leader (-?\d+), epoch \d+, isr \[(.*?)\]`)
	saysLeads   = regexp.MustCompile(`^becomes leader of (\S+/\d+), .* isr \[(.*)\]`)
	saysISR     = regexp.MustCompile(`^has the isr of (\S+/\d+) changed from \[.*\] to \[(.*)\]`)
)

// phases are what the story says when one begins.
var phases = []string{(&WorkBegan{}).Sentence(), (&HealingBegan{}).Sentence()}

// marks are the moments at which the cluster changed, read off its story: so
// nobody has to note them while the run goes on.
func marks(story []line) (all []reports.Mark) {
	leaders, isrs := map[string]string{}, map[string]int{}
	for _, line := range story {
		mark := func(kind reports.MarkKind) {
			all = append(all, reports.Mark{At: reports.Seconds(line.At), Kind: kind})
		}
		if line.Host == "" && slices.Contains(phases, line.Text) {
			all = append(all, reports.Mark{At: reports.Seconds(line.At), Kind: reports.Phase, Text: line.Text})
		}
		isr := func(partition, members string) {
			now := len(strings.FieldsFunc(members, func(c rune) bool { return c == ' ' || c == ',' }))
			if was, known := isrs[partition]; known && now < was {
				mark(reports.ISRShrank)
			} else if known && now > was {
				mark(reports.ISRGrew)
			}
			isrs[partition] = now
		}
		if saysActive.MatchString(line.Text) {
			mark(reports.NewController)
		} else if m := saysDecided.FindStringSubmatch(line.Text); m != nil {
			switch {
			case m[2] == "-1":
				mark(reports.NoLeader)
			case leaders[m[1]] != m[2]:
				mark(reports.NewLeader)
			}
			leaders[m[1]] = m[2]
			isr(m[1], m[3])
		} else if m := saysISR.FindStringSubmatch(line.Text); m != nil {
			isr(m[1], m[2])
		} else if m := saysLeads.FindStringSubmatch(line.Text); m != nil {
			if _, known := isrs[m[1]]; !known { // later ones only repeat what a controller decided
				isr(m[1], m[2])
			}
		}
	}
	return all
}
