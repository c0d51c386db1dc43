package client

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"

	"github.com/ktrial/ktrial/broker/kafka"
)

// subscription is what topics a member of a group reads: by name, by a pattern that
// the client matches, or by one that the coordinator does (KIP-848).
type subscription struct {
	subscribed bool
	topics     []string       // sorted; those that match, with a pattern
	pattern    *regexp.Regexp // nil: there is none
	re2        string         // empty: there is none
	version    int            // counts the changes of topics and re2
	// group are the topics of all members, which the leader of a classic group has
	// an eye on.
	group []string
}

// active reports whether there is a subscription.
func (s *subscription) active() bool { return s.subscribed }

// set replaces the subscription.
func (s *subscription) set(to subscription) {
	to.version = s.version + 1
	*s = to
}

// wants reports whether metadata of topic is needed.
func (s *subscription) wants(topic string) bool {
	return slices.Contains(s.topics, topic) || slices.Contains(s.group, topic)
}

// matches reports whether the subscription takes partitions of topic.
func (s *subscription) matches(topic string) bool {
	return s.re2 != "" || slices.Contains(s.topics, topic)
}

// refresh matches the pattern with the topics of the cluster.
func (s *subscription) refresh(m *metadata) {
	if s.pattern == nil || m.version == 0 {
		return
	}
	var topics []string
	for _, name := range slices.Sorted(maps.Keys(m.topics)) {
		if t := m.topic(name); t != nil && !t.internal && wholly(s.pattern, name) {
			topics = append(topics, name)
		}
	}
	if !slices.Equal(topics, s.topics) {
		s.topics = topics
		s.version++
	}
}

// wholly reports whether pattern matches all of name.
func wholly(pattern *regexp.Regexp, name string) bool {
	pattern.Longest()
	found := pattern.FindStringIndex(name)
	return found != nil && found[0] == 0 && found[1] == len(name)
}

// Subscribe has the consumer become a member of its group that reads topics. The
// partitions are the group's to give: they come and go within Poll, and listener is
// told. No topics at all are as Unsubscribe.
func (c *Consumer) Subscribe(topics []string, listener RebalanceListener) error {
	if len(topics) == 0 {
		return c.Unsubscribe()
	}
	for _, topic := range topics {
		if says := kafka.TopicNameError(topic); says != "" {
			return fmt.Errorf("client: subscribe: topic %q: %s", topic, says)
		}
	}
	sorted := slices.Clone(topics)
	slices.Sort(sorted)
	return c.subscribe(subscription{topics: slices.Compact(sorted)}, listener)
}

// SubscribePattern is Subscribe to the topics that match pattern wholly, now and
// later. The consumer matches it, whenever its metadata is renewed. Internal topics
// are left out (exclude.internal.topics).
func (c *Consumer) SubscribePattern(pattern *regexp.Regexp, listener RebalanceListener) error {
	return c.subscribe(subscription{pattern: pattern}, listener)
}

// SubscribeRE2 is Subscribe to the topics that match pattern wholly, in the syntax
// of RE2; the coordinator matches it. It needs group.protocol=consumer.
func (c *Consumer) SubscribeRE2(pattern string, listener RebalanceListener) error {
	if c.cfg.GroupProtocol != ConsumerProtocol {
		return errors.New("client: subscribe: a pattern of RE2 needs group.protocol=consumer")
	}
	if pattern == "" {
		return errors.New("client: subscribe: the pattern is empty")
	}
	return c.subscribe(subscription{re2: pattern}, listener)
}

func (c *Consumer) subscribe(to subscription, listener RebalanceListener) error {
	if c.group == nil {
		return fmt.Errorf("client: subscribe: %w", errNoGroup)
	}
	g := c.group
	if !g.subscription.active() && len(c.assigned) > 0 {
		return errors.New("client: subscribe: subscription to topics, partitions and pattern are mutually exclusive")
	}
	to.subscribed = true
	g.subscription.set(to)
	g.listener = listener
	m := &c.net.metadata
	all := to.pattern != nil || to.re2 != ""
	if all && !m.all {
		m.all = true
		m.requestAtOnce()
	}
	m.all = all
	for _, topic := range to.topics {
		m.want(topic)
	}
	c.unwantOthers()
	return nil
}

// Unsubscribe leaves the group and gives all partitions up. The listener is called.
func (c *Consumer) Unsubscribe() error {
	if c.group == nil {
		c.assign(nil)
		return nil
	}
	g := c.group
	var err error
	if g.subscription.active() {
		err = g.member.leave("the consumer unsubscribed from all topics", false)
		g.subscription.set(subscription{})
		c.net.metadata.all = false
	}
	c.assign(nil)
	c.unwantOthers()
	g.run()
	return err
}

// unwantOthers has metadata of topics that are of no more use no longer asked for.
func (c *Consumer) unwantOthers() {
	for _, name := range slices.Sorted(maps.Keys(c.net.metadata.topics)) {
		if !c.wants(name) {
			c.net.metadata.unwant(name)
		}
	}
}

// wants reports whether metadata of topic is needed.
func (c *Consumer) wants(topic string) bool {
	return c.group != nil && c.group.subscription.wants(topic) ||
		slices.ContainsFunc(c.assigned, func(a *assigned) bool { return a.tp.Topic == topic })
}
