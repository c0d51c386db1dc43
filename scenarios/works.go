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

// modern is work of a KIP-848 group.
func modern(w workloads.GroupConsume) workloads.GroupConsume {
	w.Input.Client = merged(w.Input.Client, map[string]string{"group.protocol": "consumer"})
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

// holding is a pipeline whose transactions are left open for a while, at most so long.
func holding(w workloads.Pipeline, most time.Duration) workloads.Pipeline {
	w.Hold = most
	return w
}

// unfenced is a pipeline whose workers do not say as what they send offsets.
func unfenced(w workloads.Pipeline) workloads.Pipeline {
	w.Unfenced = true
	return w
}

// rivalled is work of producers of which so many have a rival for their transactional.id.
func rivalled(w workloads.TransactionalWrites, rivals int) workloads.TransactionalWrites {
	w.Rivals = rivals
	return w
}

// clientsWith is work whose clients have other settings.
func clientsWith(w workloads.TransactionalWrites, settings map[string]string) workloads.TransactionalWrites {
	w.Client = merged(w.Client, settings)
	return w
}

// workersWith is a pipeline whose clients have other settings.
func workersWith(w workloads.Pipeline, settings map[string]string) workloads.Pipeline {
	w.Input.Client = merged(w.Input.Client, settings)
	return w
}

// many is work of so many producers.
func many(w workloads.TransactionalWrites, producers int) workloads.TransactionalWrites {
	w.Producers = producers
	return w
}

// neverAborting is work whose transactions are aborted only if something goes wrong.
func neverAborting(w workloads.TransactionalWrites) workloads.TransactionalWrites {
	w.Aborts = 0
	return w
}

// merged is a configuration with more in it.
func merged(of, more map[string]string) map[string]string {
	all := maps.Clone(of)
	maps.Copy(all, more)
	return all
}

// late is work to which so many members more join on the way.
func late(w workloads.GroupConsume, members int) workloads.GroupConsume {
	w.Late = members
	return w
}

// brief is work whose transactions have few records.
func brief(w workloads.TransactionalWrites) workloads.TransactionalWrites {
	w.Records, w.Hold = 8, 2*time.Second
	return w
}
