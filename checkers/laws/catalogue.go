package laws

import "slices"

// Law is one demand on what happens inside.
type Law struct {
	Number int
	Group  Group
	// About says what must hold, in a sentence.
	About string
	// When says what the law is asked of, and when.
	When string
	// Source is where it comes from: a KIP, an issue, a paper, a class of Kafka.
	Source string
}

// Group says whose law it is.
type Group string

// The groups.
const (
	OfPartition Group = "a partition's replication"
	OfQuorum    Group = "the metadata quorum"
	OfHealth    Group = "a cluster that nothing disturbs"
	OfGroup     Group = "a consumer group"

	OfCoordinator Group = "a coordinator"
	OfTransaction Group = "a transaction"
)

// Groups are all of them.
func Groups() []Group {
	return []Group{OfPartition, OfQuorum, OfHealth, OfCoordinator, OfGroup, OfTransaction}
}

// All is the catalogue, by number. Each of them is asked: a number that is missing
// is of no law here. Numbers up to 75 are those of the design; of these, 39 (changes
// of the voters, which never change here), 57, 58, 60, 64, 68 to 70 and
// 74 (what histories show), 71 (what histories and the timers of coordinators show), 73 and 75 (the
// insides of clients) are of none.
func All() []Law { return slices.Clone(catalogue) }

var catalogue []Law

// declare enters a law into the catalogue. It stands in the file that asks the law.
func declare(number int, group Group, about, when, source string) Law {
	l := Law{number, group, about, when, source}
	at, taken := slices.BinarySearchFunc(catalogue, number, func(l Law, n int) int { return l.Number - n })
	if taken {
		panic("laws: two laws have one number: " + about)
	}
	catalogue = slices.Insert(catalogue, at, l)
	return l
}
