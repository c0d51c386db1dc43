package workloads

import (
	"maps"
)

// Upgrade is the work of a group whose members change their protocol from one life of
// their process to the next: first classic, then KIP-848, and from the third on classic
// again. Restarted one by one, they upgrade the group and downgrade it while it works.
type Upgrade struct{ GroupConsume }

// Name is how `ktrial list` names it.
func (w Upgrade) Name() string { return "upgrade" }

// About is one line for `ktrial list`.
func (w Upgrade) About() string {
	return "members change from the classic protocol to KIP-848 and back, each time that they are restarted"
}

// Set changes a parameter, or a client configuration by Kafka's name.
func (w Upgrade) Set(name, value string) (Workload, error) {
	changed, err := w.GroupConsume.Set(name, value)
	if err != nil {
		return nil, err
	}
	w.GroupConsume = changed.(GroupConsume)
	return w, nil
}

// Config says what was configured, by Kafka's names. In a group of both kinds of members
// generations are the members' own epochs.
func (w Upgrade) Config() map[string]string {
	out := w.GroupConsume.Config()
	out["group.protocol"] = "consumer"
	return out
}

// Clients are those of the group.
func (w Upgrade) Clients(s *Stage) []Client {
	g := w.group(s)
	lives := map[int]int{}
	g.life = func(number int) GroupConsume {
		lives[number]++
		if lives[number] == 2 {
			return w.speaking("consumer")
		}
		return w.speaking("classic")
	}
	return g.clients()
}

// speaking is the work with members of one protocol.
func (w Upgrade) speaking(protocol string) GroupConsume {
	out := w.GroupConsume
	out.Input.Client = maps.Clone(out.Input.Client)
	out.Input.Client["group.protocol"] = protocol
	return out
}
