package assignor

import (
	"os"
	"strings"
	"testing"

	"github.com/ktrial/ktrial/broker/planted"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What the assignors of Apache Kafka 4.4 answer to the same groups.
func TestAssignors_AnswerLikeKafka(t *testing.T) {
	const seven = "C0{t} / C1{t} / C2{t}"
	const unlike = "C0{t0} / C1{t0,t1} / C2{t0,t1,t2}"
	const statics = "m1{t} #z / m2{t} #a / m0{t}"
	const racks, near = "t:0@r0,1@r1,2@r0,3@r1", "A{t} @r1 / B{t} @r0"
	for _, c := range []struct{ assignor, topics, members, want string }{
		{"range", "t:7", seven, "C0 t:0-2 / C1 t:3-4 / C2 t:5-6"},
		{"roundrobin", "t:7", seven, "C0 t:0,3,6 / C1 t:1,4 / C2 t:2,5"},
		{"sticky", "t:7", seven, "C0 t:0,3,6 / C1 t:1,4 / C2 t:2,5"},
		{"cooperative-sticky", "t:7", seven, "C0 t:0,3,6 / C1 t:1,4 / C2 t:2,5"},

		// Static members come first, by instance id.
		{"range", "t:7", statics, "m0 t:5-6 / m1 t:3-4 / m2 t:0-2"},

		{"range", "a:3 b:3", "C0{a,b} / C1{a,b}", "C0 a:0-1 b:0-1 / C1 a:2 b:2"},
		{"roundrobin", "a:3 b:3", "C0{a,b} / C1{a,b}", "C0 a:0,2 b:1 / C1 a:1 b:0,2"},

		{"roundrobin", "t0:1 t1:2 t2:3", unlike, "C0 t0:0 / C1 t1:0 / C2 t1:1 t2:0-2"},
		{"sticky", "t0:1 t1:2 t2:3", unlike, "C0 t0:0 / C1 t1:0-1 / C2 t2:0-2"},

		{"range", racks, near, "A t:1,3 / B t:0,2"},
		{"cooperative-sticky", racks, near, "A t:1,3 / B t:0,2"},
		// Topics with as many partitions are kept together although only one is
		// in the right rack: partition p of both goes to one member.
		{"range", racks + " u:0@r0,1@r1,2@r0,3@r1", "A{t,u} @r1 / B{t,u} @r0", "A t:1,3 u:1,3 / B t:0,2 u:0,2"},
		{"range", racks + " u:0@r1,1@r0,2@r1,3@r0", "A{t,u} @r1 / B{t,u} @r0", "A t:0-1 u:0-1 / B t:2-3 u:2-3"},

		// Moving one partition to a new member takes two rounds.
		{"cooperative-sticky", "t:4", "A{t}=t:0-3!5 / B{t}", "A t:0-1 / B -"},
		{"cooperative-sticky", "t:4", "A{t}=t:0-1!6 / B{t}=!6", "A t:0-1 / B t:2-3"},
		// The higher generation wins; at equal generations neither does.
		{"cooperative-sticky", "t:4", "A{t}=t:0-1!6 / B{t}=t:1-2!5 / C{t}=t:3!6", "A t:0-1 / B t:2 / C t:3"},
		{"cooperative-sticky", "t:4", "A{t}=t:0-1!6 / B{t}=t:1-2!6", "A t:0 / B t:2-3"},
		{"sticky", "t:4", "A{t}=t:0-1!6 / B{t}=t:1-2!5 / C{t}=t:3!6", "A t:0-1 / B t:2 / C t:3"},

		// What is not there, or not subscribed, is not assigned.
		{"range", "t:2", "A{t,gone} / B{gone}", "A t:0-1 / B -"},
		{"roundrobin", "t:2", "A{t,gone} / B{gone}", "A t:0-1 / B -"},
		{"sticky", "t:2", "A{t,gone} / B{gone}", "A t:0-1 / B -"},
		{"cooperative-sticky", "t:2", "A{t}=t:0-1,7 gone:0!3 / B{}", "A t:0-1 / B -"},
	} {
		t.Run(c.assignor+" "+c.members, func(t *testing.T) {
			a, err := ByName(c.assignor, nil)
			require.NoError(t, err)
			assert.Equal(t, c.want, printShares(a.Assign(parseTopics(c.topics), parseMembers(c.members, a))))
		})
	}
}

func TestServerAssignors_AnswerLikeKafka(t *testing.T) {
	for _, c := range []struct{ assignor, topics, members, want string }{
		{"uniform", "T:7", "A{T} / B{T} / C{T}", "A T:0-1 / B T:2-3 / C T:4-6"},
		{"range", "T:7", "A{T} / B{T} / C{T}", "A T:0-2 / B T:3-4 / C T:5-6"},
		{"uniform", "T:7 U:3", "A{T,U} / B{T,U} / C{T,U}", "A T:0-2 / B T:3-5 / C T:6 U:0-2"},
		{"uniform", "T:7", "A{T}=T:0-3 / B{T}=T:4-6 / C{T}", "A T:0-2 / B T:4-5 / C T:3,6"},
		{"uniform", "T:7", "B{T}=T:3-4 / C{T}=T:5-6", "B T:0,3-4 / C T:1-2,5-6"},
		{"uniform", "T:7 U:3", "A{T} / B{T,U}", "A T:0,2,4-6 / B T:1,3 U:0-2"},
		{"range", "T:7", "m1{T} #z / m2{T} #a / m0{T}", "m0 T:5-6 / m1 T:3-4 / m2 T:0-2"},
		{"range", "T:3 U:4", "A{T} / B{T,U}", "A T:0-1 / B T:2 U:0-3"},
		// A topic that is no longer subscribed, a partition that is gone.
		{"uniform", "T:2", "A{T}=T:0-1 U:0 / B{T}=T:5", "A T:0 / B T:1"},
		// Targets that contradict each other, as no coordinator makes them.
		{"uniform", "T:2", "A{T}=T:0 / B{T}=T:0", "A T:0 / B T:1"},
	} {
		t.Run(c.assignor+" "+c.members, func(t *testing.T) {
			a, err := ServerByName(c.assignor)
			require.NoError(t, err)
			assert.Equal(t, c.want, printServer(a.Assign(parseGroup(c.topics, c.members))))
		})
	}
}

// A group that its coordinator takes for alike, and is not, has what the first of its
// members subscribes to: the first in the order of a hash map, or, for range, by
// instance and id. So in Apache Kafka 4.4.
func TestServerAssignors_TakenForAlike(t *testing.T) {
	for _, c := range []struct{ assignor, topics, members, want string }{
		{"uniform", "T:4", "A{} / B{T}=T:0-1 / C{T}=T:2-3", "A - / B - / C -"},
		{"uniform", "T:4", "D{} / B{T}=T:0-1 / C{T}=T:2-3", "B T:0-1 / C T:2 / D T:3"},
		{"uniform", "T:2 U:2", "A{U} / B{T}=T:0-1", "A U:0 / B U:1"},
		{"range", "T:4", "A{} / B{T} / C{T}", "A - / B - / C -"},
		{"range", "T:4", "A{} / B{T} #z / C{T}", "A T:2 / B T:0-1 / C T:3"},
	} {
		t.Run(c.assignor+" "+c.members, func(t *testing.T) {
			a, err := ServerByName(c.assignor)
			require.NoError(t, err)
			g := parseGroup(c.topics, c.members)
			g.Homogeneous = true
			assert.Equal(t, c.want, printServer(a.Assign(g)))
		})
	}
}

// A leader that trusts every claim gives a partition to the member that lost it
// as well (KAFKA-7026).
func TestSticky_StaleClaimIsTheBug(t *testing.T) {
	for name, want := range map[string]string{
		Sticky:            "A t:0-1 / B t:1-2 / C t:3",
		CooperativeSticky: "A t:0-1 / B t:1-2 / C t:3",
	} {
		bugs := planted.Plant(planted.IgnoreGeneration)
		a, err := ByName(name, bugs)
		require.NoError(t, err)
		shares := a.Assign(parseTopics("t:4"), parseMembers("A{t}=t:0-1!6 / B{t}=t:1-2!5 / C{t}=t:3!6", a))
		assert.Equal(t, want, printShares(shares), name)
		assert.EqualValues(t, 1, bugs.Count(planted.IgnoreGeneration).Infected)
	}
}

func TestNames(t *testing.T) {
	for _, name := range []string{Range, RoundRobin, Sticky, CooperativeSticky} {
		a, err := ByName(name, nil)
		require.NoError(t, err)
		assert.Equal(t, name, a.Name())
	}
	_, err := Assign("rnage", nil, nil)
	assert.EqualError(t, err, `assignor "rnage" is unknown, expected one of range, roundrobin, sticky, cooperative-sticky`)
	_, err = ServerByName("sticky")
	assert.EqualError(t, err, `server-side assignor "sticky" is unknown, expected one of uniform, range`)
}

// The default of Java's consumer, range before cooperative-sticky, is eager.
func TestCommonProtocol(t *testing.T) {
	for names, want := range map[string]Protocol{
		"range cooperative-sticky": Eager, "cooperative-sticky": Cooperative, "sticky": Eager, "cooperative-sticky roundrobin": Eager,
	} {
		var all []Assignor
		for name := range strings.FieldsSeq(names) {
			a, err := ByName(name, nil)
			require.NoError(t, err)
			all = append(all, a)
		}
		got, err := CommonProtocol(all)
		require.NoError(t, err)
		assert.Equal(t, want, got, names)
	}
	_, err := CommonProtocol(nil)
	assert.Error(t, err)
}

// What the classes of Apache Kafka 4.4 answered to groups drawn at random, some of
// them in the rounds after a member came or went. Of cooperative-sticky only groups
// whose members subscribe alike: else Java's answer depends on the order of its maps.
func TestAssignors_AnswerLikeJavaAtRandom(t *testing.T) {
	for i, row := range rows(t, "testdata/kafka-client.tsv") {
		a, err := ByName(row[0], nil)
		require.NoError(t, err)
		assert.Equal(t, row[3], printShares(a.Assign(parseTopics(row[1]), parseMembers(row[2], a))), "row %d: %v", i+1, row)
	}
	for i, row := range rows(t, "testdata/kafka-server.tsv") {
		a, err := ServerByName(row[0])
		require.NoError(t, err)
		assert.Equal(t, row[3], printServer(a.Assign(parseGroup(row[1], row[2]))), "row %d: %v", i+1, row)
	}
}

// rows are the lines of a table: assignor, topics, members, shares.
func rows(t *testing.T, file string) (all [][]string) {
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	for line := range strings.Lines(string(text)) {
		row := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		require.Len(t, row, 4, line)
		all = append(all, row)
	}
	require.NotEmpty(t, all)
	return all
}
