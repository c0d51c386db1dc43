package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// CheckGroup refuses what Kafka would refuse of a group (GroupConfig, KIP-1142):
// given is what is set on it, broker what the brokers were given, which bound it. A
// name that is unknown is refused.
func CheckGroup(given, broker map[string]string) error {
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if Find(Group, name) == nil {
			return &Invalid{name, "Unknown group config name: " + name}
		}
	}
	if err := Check(Group, given); err != nil {
		return err
	}
	group, bounds := Values{Group, given}, Values{Broker, broker}
	for _, b := range groupBounds {
		if !group.Has(b.name) {
			continue
		}
		if says := b.says(group.Int(b.name), bounds); says != "" {
			return &Invalid{b.name, b.name + " " + says}
		}
	}
	return checkAssignor(group, bounds)
}

// groupBound is what brokers allow of a group's setting: they have bounds of their
// own for it, under these names.
type groupBound struct{ name, least, most string }

// groupBounds: brokers that bound consumer.session.timeout.ms call the bounds
// group.consumer.min.session.timeout.ms and group.consumer.max.session.timeout.ms.
var groupBounds = []groupBound{
	bounded("consumer.assignment.interval.ms"), bounded("consumer.heartbeat.interval.ms"), bounded("consumer.session.timeout.ms"),
	bounded("share.assignment.interval.ms"), bounded("share.heartbeat.interval.ms"), bounded("share.session.timeout.ms"),
	bounded("share.record.lock.duration.ms"), bounded("share.delivery.count.limit"), bounded("share.partition.max.record.locks"),
	bounded("streams.assignment.interval.ms"), bounded("streams.heartbeat.interval.ms"), bounded("streams.session.timeout.ms"),
	{name: "streams.num.standby.replicas", most: "group.streams.max.standby.replicas"},
	{name: "streams.num.warmup.replicas", most: "group.streams.max.warmup.replicas"},
	{name: "streams.task.offset.interval.ms", least: "group.streams.min.task.offset.interval.ms"},
}

func bounded(name string) groupBound {
	family, rest, _ := strings.Cut(name, ".")
	return groupBound{name, "group." + family + ".min." + rest, "group." + family + ".max." + rest}
}

func (b groupBound) says(n int64, broker Values) string {
	switch {
	case b.least == "" && n > broker.Int(b.most):
		return fmt.Sprintf("must be less than or equal to %d", broker.Int(b.most))
	case b.most == "" && n < broker.Int(b.least):
		return fmt.Sprintf("must be greater than or equal to %d", broker.Int(b.least))
	case b.least != "" && b.most != "" && (n < broker.Int(b.least) || n > broker.Int(b.most)):
		return fmt.Sprintf("must be in the range %d to %d inclusive.", broker.Int(b.least), broker.Int(b.most))
	}
	return ""
}

func checkAssignor(group, broker Values) error {
	const name = "streams.assignor.name"
	registered := items(broker.Text("group.streams.assignors"))
	if !group.Has(name) || slices.Contains(registered, group.Text(name)) {
		return nil
	}
	return &Invalid{name, fmt.Sprintf("%s '%s' is not a registered task assignor. Registered assignors are: [%s].", name, group.Text(name), strings.Join(registered, ", "))}
}
