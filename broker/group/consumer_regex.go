package group

import (
	"errors"
	"regexp"
	"regexp/syntax"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/ktrial/ktrial/broker/coordinator"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/metadata"
)

// Subscriptions by regular expression (KIP-848). They are RE2's, which Go has too,
// and match whole names. They are resolved apart from heartbeats: until then a
// member has an epoch, and nothing else.

// regexEager is how old all resolved expressions of a group must be, before new ones
// are resolved or new topics looked at.
const regexEager = 10 * time.Second

// regexChange is what a heartbeat does to a member's regular expression.
type regexChange int

const (
	regexAsBefore regexChange = iota
	regexChanged
	regexResolved // changed, and what it stands for is known
)

// updateRegex records that a member's regular expression changed, and has all of the
// group's resolved if that is due.
func (h *heartbeat) updateRegex() (change regexChange, err error) {
	g, was, is := h.group, h.was.regex(), h.member.regex()
	due := false
	if was != is {
		change = regexChanged
		if use, _ := g.regexUse.Get(was); use == 1 {
			h.add(tombstone(&regexKey{g.id, was}))
		}
		switch {
		case is == "":
			change = regexResolved
		case !g.regexUse.Has(is):
			if _, err := compileRegex(is); err != nil {
				return 0, err
			}
			due = true
		case g.regexes.Has(is):
			change = regexResolved
		}
	}
	if due || g.regexUse.Len() > 0 {
		h.refreshRegexes(due)
	}
	return change, nil
}

// refreshRegexes has the expressions resolved if one is not, if topics were created
// since, or if it was long ago. The first is as good as any: all are resolved
// together.
func (h *heartbeat) refreshRegexes(due bool) {
	g, m, now := h.group, h.m, h.m.env.NowMillis()
	if m.soft(g.id).resolving {
		return
	}
	var last *regexValue
	for _, r := range g.regexes.All() {
		last = r
		break
	}
	if last != nil && now <= last.at+regexEager.Milliseconds() {
		return
	}
	use := h.regexUse()
	due = due || len(use) != g.regexes.Len()
	due = due || last != nil && (kafka.Offset(last.version) < m.consumers.topicsSince || now > last.at+m.cfg.Consumer.RegexRefreshInterval.Milliseconds())
	if due && len(use) > 0 {
		m.resolveLater(g.id, sortedKeys(use))
	}
}

// regexUse is how many members use each expression, when this member is as it is
// now.
func (h *heartbeat) regexUse() map[string]int {
	use := map[string]int{}
	for regex, n := range h.group.regexUse.All() {
		use[regex] = n
	}
	if was, is := h.was.regex(), h.member.regex(); was != is {
		if use[was]--; use[was] <= 0 {
			delete(use, was)
		}
		if is != "" {
			use[is]++
		}
	}
	return use
}

// resolveLater resolves expressions in an event of its own: there may be many topics.
func (m *Machine) resolveLater(group string, expressions []string) {
	soft := m.soft(group)
	soft.resolving = true
	m.env.Timer(consumerTimer("regex", group, ""), 0, 0, func() coordinator.Decision {
		soft.resolving = false
		g, err := m.consumerGroupOf(group)
		if err != nil {
			return coordinator.Decision{}
		}
		return m.resolve(g, expressions)
	})
}

// resolve looks which topics expressions match, and raises the group's epoch if
// that differs from what was known.
func (m *Machine) resolve(g *consumerGroup, expressions []string) coordinator.Decision {
	im, now := m.env.Image(), m.env.NowMillis()
	var d coordinator.Decision
	topics := map[string]subscribers{}
	for name, n := range g.topics.All() {
		topics[name] = n
	}
	bump := false
	for _, regex := range expressions {
		if !g.regexUse.Has(regex) {
			continue
		}
		found := matching(im, regex)
		was, ok := g.regexes.Get(regex)
		if !ok {
			was = &regexValue{}
		}
		if !slices.Equal(was.topics, found) {
			bump = true
			countTopics(topics, was.topics, subscribers{byRegex: -1})
			countTopics(topics, found, subscribers{byRegex: 1})
		}
		d.Records = append(d.Records, encode(&regexKey{g.id, regex}, &regexValue{found, int64(im.Offset), now}))
	}
	if hash := metadataHash(topics, im); bump || hash != g.hash64.Get() {
		epoch := g.epoch.Get() + 1
		d.Records = append(d.Records, encode(&consumerGroupKey{g.id}, &consumerGroupValue{epoch, hash}))
		soft := m.soft(g.id)
		soft.metadataSeen, soft.metadataEpoch = true, epoch
	}
	d.Appended = func(error) { m.tellState(g.id) }
	return d
}

// matching are the topics whose whole names match, by name. An expression that
// cannot be read, as the log may hold one, matches none.
func matching(im *metadata.Image, regex string) (names []string) {
	compiled, err := compileRegex(regex)
	if err != nil {
		return nil
	}
	for _, topic := range im.Topics() {
		if compiled.MatchString(topic.Name) {
			names = append(names, topic.Name)
		}
	}
	return names
}

func compileRegex(regex string) (*regexp.Regexp, error) {
	var bad *syntax.Error
	if _, err := regexp.Compile(regex); errors.As(err, &bad) {
		return nil, kafka.Refuse(kerr.InvalidRegularExpression, "SubscribedTopicRegex `%s` is not a valid regular expression: %s.", regex, bad.Code)
	}
	return regexp.MustCompile(`\A(?:` + regex + `)\z`), nil
}
