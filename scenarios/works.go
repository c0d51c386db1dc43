package scenarios

import (
	"maps"
	"slices"
	"time"

	"github.com/ktrial/ktrial/workloads"
)

// Variations of a group's work, so that a scenario names what is different in it.

// with is work of so many members.
func with(w workloads.GroupConsume, members int) workloads.GroupConsume {
	w.Members = members
	return w
}

// static is work whose members have a group.instance.id.
func static(w workloads.GroupConsume) workloads.GroupConsume {
	w.Static = true
	return w
}

// committing is work that is committed at other times.
func committing(w workloads.GroupConsume, when workloads.CommitWhen) workloads.GroupConsume {
	w.Commit = when
	return w
}

// working is work of which a record takes so long.
func working(w workloads.GroupConsume, each time.Duration) workloads.GroupConsume {
	w.Work = each
	return w
}

// classic is work whose members have other settings of the classic protocol.
func classic(w workloads.GroupConsume, settings map[string]string) workloads.GroupConsume {
	w.Classic = settings
	return w
}

// then is a pipeline with one more step.
func then(w workloads.Pipeline, topic string) workloads.Pipeline {
	w.Topics = append(slices.Clone(w.Topics), topic)
	return w
}

// late is work to which so many members more join on the way.
func late(w workloads.GroupConsume, members int) workloads.GroupConsume {
	w.Late = members
	return w
}

// extended is a configuration with more in it.
func extended(of, more map[string]string) map[string]string {
	all := maps.Clone(of)
	maps.Copy(all, more)
	return all
}
