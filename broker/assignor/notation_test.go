package assignor

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/ktrial/ktrial/broker/kafka"
)

// The tests write groups as text:
//
//	topics      t:7 u:3            names and numbers of partitions
//	            t:0@r0,1@r1        or every partition with the racks of its replicas
//	members     A{t,u}             and then, as needed: #instance @rack, and what
//	            B{t}=t:0-2!5       it owned (client: with the generation after !)
//	shares      A t:0-2,5 u:1 / B -

func parseTopics(text string) Topics {
	topics := Topics{}
	for word := range strings.FieldsSeq(text) {
		name, rest, _ := strings.Cut(word, ":")
		if n, err := strconv.Atoi(rest); err == nil {
			topics[name] = Plain(n)
			continue
		}
		for part := range strings.SplitSeq(rest, ",") {
			_, racks, _ := strings.Cut(part, "@")
			topics[name] = append(topics[name], strings.Split(racks, "+"))
		}
	}
	return topics
}

func parsePartitions(text string) (all []kafka.TopicPartition) {
	for word := range strings.FieldsSeq(text) {
		topic, numbers, _ := strings.Cut(word, ":")
		for part := range strings.SplitSeq(numbers, ",") {
			first, last, isRange := strings.Cut(part, "-")
			if !isRange {
				last = first
			}
			for n := number(first); n <= number(last); n++ {
				all = append(all, kafka.TopicPartition{Topic: topic, Partition: n})
			}
		}
	}
	return all
}

func number(text string) int32 {
	n, err := strconv.Atoi(text)
	if err != nil {
		panic(fmt.Sprintf("number %q", text))
	}
	return int32(n)
}

// parseMembers reads members; how says in which form their claims are sent.
func parseMembers(text string, how Assignor) (members []Member) {
	for word := range strings.SplitSeq(text, " / ") {
		head, rest, _ := strings.Cut(word, "}")
		id, topics, _ := strings.Cut(head, "{")
		m := Member{ID: id, Generation: NoGeneration}
		if topics != "" {
			m.Topics = strings.Split(topics, ",")
		}
		rest, owned, owns := strings.Cut(rest, "=")
		if owns {
			partitions, generation, _ := strings.Cut(owned, "!")
			m = claiming(m, how, parsePartitions(partitions), number(generation))
		}
		for field := range strings.FieldsSeq(rest) {
			switch field[0] {
			case '#':
				m.Instance = field[1:]
			case '@':
				m.Rack = field[1:]
			}
		}
		members = append(members, m)
	}
	return members
}

// claiming is m with a claim in the form that its assignor reads.
func claiming(m Member, how Assignor, owned []kafka.TopicPartition, generation int32) Member {
	if slices.Contains(how.Protocols(), Cooperative) {
		m.Owned, m.Generation = owned, generation
	}
	m.UserData = how.UserData(owned, generation)
	return m
}

func printShares(shares Shares) string {
	var all []string
	for _, id := range slices.Sorted(maps.Keys(shares)) {
		words := []string{id}
		for _, t := range byTopic(shares[id]) {
			words = append(words, t.Topic+":"+printNumbers(t.Partitions))
		}
		if len(words) == 1 {
			words = append(words, "-")
		}
		all = append(all, strings.Join(words, " "))
	}
	return strings.Join(all, " / ")
}

// printNumbers is 0-2,5 for 0 1 2 5.
func printNumbers(numbers []int32) string {
	var runs []string
	for i := 0; i < len(numbers); {
		j := i
		for j+1 < len(numbers) && numbers[j+1] == numbers[j]+1 {
			j++
		}
		switch {
		case j > i:
			runs = append(runs, fmt.Sprintf("%d-%d", numbers[i], numbers[j]))
		default:
			runs = append(runs, strconv.Itoa(int(numbers[i])))
		}
		i = j + 1
	}
	return strings.Join(runs, ",")
}

// topicID is the id of a topic in the tests of server-side assignors: its name.
func topicID(name string) (id kafka.UUID) {
	copy(id[:], name)
	return id
}

func topicName(id kafka.UUID) string { return strings.TrimRight(string(id[:]), "\x00") }

// parseGroup reads a group of the server side.
func parseGroup(topics, members string) Group {
	g := Group{Partitions: map[kafka.UUID]int32{}, Homogeneous: true}
	for name, partitions := range parseTopics(topics) {
		g.Partitions[topicID(name)] = int32(len(partitions))
	}
	for word := range strings.SplitSeq(members, " / ") {
		head, rest, _ := strings.Cut(word, "}")
		id, names, _ := strings.Cut(head, "{")
		m := GroupMember{ID: id}
		for name := range strings.SplitSeq(names, ",") {
			m.Topics = append(m.Topics, topicID(name))
		}
		slices.SortFunc(m.Topics, CompareUUID)
		instance, target, _ := strings.Cut(rest, "=")
		m.Instance = strings.TrimPrefix(strings.TrimSpace(instance), "#")
		for _, tp := range parsePartitions(target) {
			m.Target = appendPartition(m.Target, topicID(tp.Topic), tp.Partition)
		}
		g.Members = append(g.Members, m)
		g.Homogeneous = g.Homogeneous && slices.Equal(m.Topics, g.Members[0].Topics)
	}
	return g
}

func printServer(shares map[string]Share) string {
	named := Shares{}
	for id, share := range shares {
		named[id] = nil
		for _, t := range share {
			named[id] = appendTopic(named[id], topicName(t.Topic), t.Partitions)
		}
	}
	return printShares(named)
}
