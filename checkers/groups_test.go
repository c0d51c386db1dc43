package checkers

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

// three records, that a consumer outside of all groups reads.
const three = `
	0: send orders/10@0
	0: send orders/11@1
	0: send orders/12@2
	9: poll orders/10@0 orders/11@1 orders/12@2
`

// What a group's members record, and what is right. What is legal is named in the
// report and judged as if nothing had been found.
var groupTables = []struct {
	name, history, config string
	verdict               Verdict
	anomalies             string // broken, permitted and legal ones
}{
	// Ownership.
	{"a partition moves by revoking it first", three + `
		1: assigned orders group=g generation=1
		1: poll orders/10@0 group=g generation=1
		1: commit orders@1 group=g generation=1
		1: revoked orders group=g generation=1
		2: assigned orders group=g generation=2
		2: poll orders/11@1 orders/12@2 group=g generation=2`, "", Holds, ""},
	{"it moves within a poll of its old owner", three + `
		1: assigned orders group=g generation=1
		1> poll group=g
		1: revoked orders group=g generation=1
		1: assigned group=g generation=2
		1< poll group=g generation=2
		2: assigned orders group=g generation=2
		2: poll orders/10@0 group=g generation=2`, "", Holds, ""},
	{"two members are assigned it in one generation", three + `
		1: assigned orders group=g generation=1
		2: assigned orders group=g generation=1
		1: poll orders/10@0 orders/11@1 orders/12@2 group=g`, "", Violated, "owned-twice"},
	{"the same partition of another group", three + `
		1: assigned orders group=g generation=1
		2: assigned orders group=h generation=1
		1: poll orders/10@0 orders/11@1 orders/12@2 group=g`, "", Holds, ""},
	{"a member keeps in the next generation what another is assigned in it", three + `
		1: assigned orders group=g generation=1
		1: poll orders/10@0 orders/11@1 orders/12@2 group=g generation=1
		1: assigned other group=g generation=2
		2: assigned orders group=g generation=2`, "", Violated, "owned-twice"},
	{"a static member comes back in the same generation", three + `
		1: assigned orders group=g generation=1 instance=till-1
		1: poll orders/10@0 group=g
		2: assigned orders group=g generation=1 instance=till-1
		2: poll orders/10@0 orders/11@1 group=g`, "", Holds, "zombie-owner"},
	{"a member that crashed is replaced", three + `
		1: assigned orders group=g generation=1
		1: poll orders/10@0 group=g
		1: crash
		2: assigned orders group=g generation=1
		2: poll orders/10@0 orders/11@1 group=g`, "", Holds, ""},
	{"a zombie owns until it learns", three + `
		1: assigned orders group=g generation=1
		1: poll orders/10@0 group=g generation=1
		2: assigned orders group=g generation=2
		1: poll orders/11@1 group=g generation=1
		1: commit orders@2 group=g generation=1 fail
		1: lost orders group=g generation=1
		2: poll orders/10@0 orders/11@1 orders/12@2 group=g generation=2`, "", Holds, "zombie-owner"},
	{"but what it commits is refused", three + `
		1: assigned orders group=g generation=1
		1: poll orders/10@0 group=g generation=1
		2: assigned orders group=g generation=2
		1: commit orders@1 group=g generation=1
		2: poll orders/10@0 orders/11@1 orders/12@2 group=g generation=2`, "", Violated, "stale-commit zombie-owner"},
	{"and it reads nothing once it has learned", three + `
		1: assigned orders group=g generation=1
		1: poll orders/10@0 group=g generation=1
		1: lost orders group=g generation=1
		1: poll orders/11@1 group=g generation=1`, "", Violated, "read-after-revoke"},
	{"a poll that was under way may return what it has", three + `
		1: assigned orders group=g generation=1
		1> poll group=g
		1: revoked orders group=g generation=1
		1< poll orders/10@0 group=g`, "", Holds, ""},
	{"after a revocation nothing is read", three + `
		1: assigned orders group=g generation=1
		1: poll orders/10@0 group=g
		1: revoked orders group=g generation=1
		1: poll orders/11@1 group=g`, "", Violated, "read-after-revoke"},
	{"until it is assigned again", three + `
		1: assigned orders group=g generation=1
		1: poll orders/10@0 group=g
		1: revoked orders group=g generation=1
		1: assigned orders group=g generation=2
		1: poll orders/10@0 orders/11@1 group=g`, "", Holds, ""},
	{"a step back within one ownership", three + `
		1: assigned orders group=g generation=1
		1: poll orders/10@0 orders/11@1 group=g
		1: poll orders/10@0 group=g`, "subscribe=true", Violated, "nonmonotonic-poll"},
	{"a jump within one ownership, though its generation goes on", three + `
		1: assigned orders group=g generation=1
		1: poll orders/10@0 group=g generation=1
		1: assigned group=g generation=2
		1: poll orders/12@2 group=g generation=2`, "subscribe=true", Violated, "poll-skip"},
	{"or assigned by hand", three + `
		1: assigned orders group=g generation=1
		1: revoked orders group=g generation=1
		1: assign orders
		1: poll orders/10@0 orders/11@1`, "", Holds, ""},

	// Generations.
	{"a member's generation grows", three + `
		1: assigned orders group=g generation=1
		1: poll orders/10@0 orders/11@1 group=g generation=3`, "", Holds, ""},
	{"a member's generation falls", three + `
		1: assigned orders group=g generation=3
		1: poll orders/10@0 group=g generation=3
		1: poll orders/11@1 group=g generation=2`, "", Violated, "group-generation"},
	{"an answer of the old generation was under way", three + `
		1> poll group=g
		1: assigned orders group=g generation=3
		1< poll orders/10@0 group=g generation=2`, "", Holds, ""},
	{"a new member of the process begins anew", three + `
		1: assigned orders group=g generation=3 member=a
		1: poll orders/10@0 group=g generation=3 member=a
		1: poll orders/11@1 group=g generation=1 member=b`, "", Holds, ""},
	{"members' own epochs say nothing of each other", three + `
		1: join group=g generation=5
		2: join group=g generation=4
		1: poll orders/10@0 orders/11@1 group=g generation=5`, "group.protocol=consumer", Holds, ""},
	{"the generation of a group does", three + `
		1: join group=g generation=5
		2: join group=g generation=4
		1: poll orders/10@0 orders/11@1 group=g generation=5`, "group.protocol=classic", Violated, "group-generation"},
	{"a member's own epoch falls", three + `
		1: join group=g generation=5
		1: poll orders/10@0 orders/11@1 group=g generation=4`, "group.protocol=consumer", Violated, "group-generation"},

	// Commits.
	{"a commit of the present generation", three + `
		1: join group=g generation=5
		1: poll orders/10@0 orders/11@1 group=g generation=5
		1: commit orders@2 group=g generation=5`, "", Holds, ""},
	{"a commit of a generation that was over", three + `
		1: join group=g generation=5
		2: join group=g generation=6
		2: poll orders/10@0 orders/11@1 group=g generation=6
		1: commit orders@2 group=g generation=5`, "", Violated, "stale-commit"},
	{"a commit that was under way when it ended", three + `
		1: join group=g generation=5
		1> commit orders@2 group=g generation=5
		2: join group=g generation=6
		2: poll orders/10@0 orders/11@1 group=g generation=6
		1< commit orders@2 group=g generation=5`, "", Holds, ""},
	{"a fail-over forgets the last commit", three + `
		1: poll orders/10@0 orders/11@1 orders/12@2 group=g
		1: commit orders@1 group=g
		1: commit orders@2 group=g
		3: committed orders@1 group=g`, "", Violated, "committed-offset"},
	{"a commit of unknown outcome is remembered or not", three + `
		1: poll orders/10@0 orders/11@1 orders/12@2 group=g
		1: commit orders@1 group=g
		1: commit orders@2 group=g info
		3: committed orders@1 group=g
		3: committed orders@2 group=g`, "", Holds, ""},

	// Where a new owner begins.
	{"a new owner begins at the committed offset", three + `
		1: assigned orders group=g generation=1
		1: poll orders/10@0 orders/11@1 group=g
		1: commit orders@1 group=g
		1: revoked orders group=g generation=1
		2: assigned orders group=g generation=2
		2: poll orders/11@1 orders/12@2 group=g`, "", Holds, ""},
	{"a new owner begins above it", three + `
		1: assigned orders group=g generation=1
		1: poll orders/10@0 orders/11@1 group=g
		1: commit orders@1 group=g
		1: revoked orders group=g generation=1
		2: assigned orders group=g generation=2
		2: poll orders/12@2 group=g`, "", Violated, "group-jump"},
	{"a new owner begins below it", three + `
		1: assigned orders group=g generation=1
		1: poll orders/10@0 orders/11@1 group=g
		1: commit orders@2 group=g
		1: revoked orders group=g generation=1
		2: assigned orders group=g generation=2
		2: poll orders/11@1 group=g`, "", Violated, "group-rewind"},
	{"what lies between was aborted", `
		0: send orders/10@0
		0: txn send orders/11@1 fail
		0: send orders/12@3
		1: assigned orders group=g generation=1
		1: poll orders/10@0 group=g
		1: commit orders@1 group=g
		1: revoked orders group=g generation=1
		2: assigned orders group=g generation=2
		2: poll orders/12@3 group=g`, "", Holds, ""},
	{"a commit of unknown outcome may have moved it", three + `
		1: assigned orders group=g generation=1
		1: poll orders/10@0 orders/11@1 group=g
		1: commit orders@1 group=g
		3: commit orders@2 group=g info
		1: revoked orders group=g generation=1
		2: assigned orders group=g generation=2
		2: poll orders/12@2 group=g`, "", Holds, ""},
	{"a consumer that commits by itself", three + `
		1: assigned orders group=g generation=1
		1: poll orders/10@0 orders/11@1 group=g
		1: commit orders@1 group=g
		1: revoked orders group=g generation=1
		2: assigned orders group=g generation=2
		2: poll orders/12@2 group=g`, "enable.auto.commit=true", Allowed, "group-jump"},
	{"a group that has committed nothing begins at the start of the log", three + `
		1: assigned orders group=g generation=1
		1: poll orders/10@0 orders/11@1 group=g
		1: revoked orders group=g generation=1
		2: assigned orders group=g generation=2
		2: poll orders/10@0 group=g`, "from-the-start=true,auto.offset.reset=earliest", Holds, ""},
	{"and not above it", three + `
		1: assigned orders group=g generation=1
		1: poll orders/11@1 orders/12@2 group=g`, "from-the-start=true,auto.offset.reset=earliest", Violated, "group-jump"},
	{"which latest does not promise", three + `
		1: assigned orders group=g generation=1
		1: poll orders/11@1 orders/12@2 group=g`, "from-the-start=true,auto.offset.reset=latest", Holds, ""},
	{"and yet it is a loss to a group that was at work: a partition was added", `
		0: send orders/0/10@0
		1: poll orders/0/10@0 group=g
		0: send orders/1/11@0
		fault: offset-reset orders/1
		0: send orders/1/12@1
		1: assigned orders/1 group=g generation=1
		1: poll orders/1/12@1 group=g
		9: poll orders/0/10@0 orders/1/11@0 orders/1/12@1`, "from-the-start=true,auto.offset.reset=latest", Allowed, "group-jump"},
	{"nor a history that begins in the middle", three + `
		1: assigned orders group=g generation=1
		1: poll orders/11@1 orders/12@2 group=g`, "auto.offset.reset=earliest", Holds, ""},
	{"it may have been told of a commit that was under way", three + `
		3: commit orders@1 group=g info
		1: assigned orders group=g generation=1
		1: poll orders/11@1 orders/12@2 group=g`, "from-the-start=true,auto.offset.reset=earliest", Holds, ""},

	// Coverage and processing.
	{"every record is given to some member", three + `
		1: poll orders/10@0 orders/11@1 group=g
		2: poll orders/12@2 group=g
		2: commit orders@3 group=g`, "", Holds, ""},
	{"a hole between two owners", three + `
		1: poll orders/10@0 group=g
		3: poll orders/11@1 group=other
		2: poll orders/12@2 group=g
		2: commit orders@3 group=g`, "", Violated, "group-skip"},
	{"a commit that is ahead of what was given, for a while", three + `
		1: poll orders/10@0 group=g
		1: commit orders@3 group=g
		1: poll orders/11@1 orders/12@2 group=g`, "from-the-start=true", Violated, "commit-ahead"},
	{"the poll was under way", three + `
		1: poll orders/10@0 group=g
		1> poll group=g
		2: commit orders@3 group=g
		1< poll orders/11@1 orders/12@2 group=g`, "from-the-start=true", Holds, ""},
	{"an older commit, and what comes after it", three + `
		1: poll orders/10@0 group=g
		1: commit orders@1 group=g
		1: poll orders/11@1 orders/12@2 group=g
		1: commit orders@3 group=g`, "from-the-start=true", Holds, ""},
	{"it may have been given before the history began", three + `
		1: commit orders@3 group=g
		1: poll orders/11@1 orders/12@2 group=g`, "", Holds, ""},
	{"processed, then committed", three + `
		1: poll orders/10@0 orders/11@1 group=g
		1: processed orders@0 orders@1 group=g
		1: commit orders@2 group=g`, "", Holds, ""},
	{"committed, and never processed", three + `
		1: poll orders/10@0 orders/11@1 group=g
		1: processed orders@0 group=g
		1: commit orders@2 group=g`, "", Violated, "unprocessed"},
	{"committed, and the work on it failed", three + `
		1: poll orders/10@0 orders/11@1 group=g
		1: processed orders@0 group=g
		1: processed orders@1 group=g fail
		1: commit orders@2 group=g`, "", Violated, "unprocessed"},
	{"committed, and its member crashed at work", three + `
		1: poll orders/10@0 orders/11@1 group=g
		1: processed orders@0 group=g
		1: processed orders@1 group=g info
		1: commit orders@2 group=g`, "", Holds, ""},
	{"committed before it is processed, on purpose", three + `
		1: poll orders/10@0 orders/11@1 group=g
		1: processed orders@0 group=g
		1: commit orders@2 group=g`, "processing=at-most-once", Allowed, "unprocessed"},
	{"processed again after a crash", three + `
		1: poll orders/10@0 orders/11@1 group=g
		1: processed orders@0 orders@1 group=g
		2: poll orders/10@0 orders/11@1 group=g
		2: processed orders@0 orders@1 group=g
		2: commit orders@2 group=g`, "", Holds, "processed-twice"},
	{"which is once too often", three + `
		1: poll orders/10@0 orders/11@1 group=g
		1: processed orders@0 orders@1 group=g
		2: poll orders/10@0 orders/11@1 group=g
		2: processed orders@0 orders@1 group=g
		2: commit orders@2 group=g`, "processing=at-most-once", Violated, "processed-twice"},
	{"two groups process it once each", three + `
		1: poll orders/10@0 orders/11@1 group=g
		1: processed orders@0 orders@1 group=g
		2: poll orders/10@0 orders/11@1 group=h
		2: processed orders@0 orders@1 group=h`, "processing=at-most-once", Holds, ""},

	// Order by key.
	{"a key in order, on one partition", `
		0: send orders/create@0 key=a
		0: send orders/update@1 key=a
		1: poll orders/create@0 orders/update@1 group=g`, "ordering=key", Holds, ""},
	{"an update before what it updates, on another partition", `
		0: send orders/0/create@0 key=a
		0: send orders/1/update@0 key=a
		2: poll orders/1/update@0 group=g
		1: poll orders/0/create@0 group=g`, "ordering=key", Violated, "key-order"},
	{"which Kafka does not promise", `
		0: send orders/0/create@0 key=a
		0: send orders/1/update@0 key=a
		2: poll orders/1/update@0 group=g
		1: poll orders/0/create@0 group=g`, "", Holds, "key-order"},
	{"two keys have no order", `
		0: send orders/0/create@0 key=a
		0: send orders/1/update@0 key=b
		2: poll orders/1/update@0 group=g
		1: poll orders/0/create@0 group=g`, "ordering=key", Holds, ""},
	{"sends that overlap have none", `
		0> send orders/0/create key=a
		3> send orders/1/update key=a
		0< send orders/0/create@0 key=a
		3< send orders/1/update@0 key=a
		2: poll orders/1/update@0 group=g
		1: poll orders/0/create@0 group=g`, "ordering=key", Holds, ""},
	{"what is given again was in order the first time", `
		0: send orders/0/create@0 key=a
		0: send orders/1/update@0 key=a
		1: poll orders/0/create@0 group=g
		2: poll orders/1/update@0 group=g
		3: poll orders/0/create@0 group=g`, "ordering=key", Holds, ""},
	{"an update before what it updates, on one partition", `
		0: send orders/create@0 key=a
		0: send orders/update@1 key=a
		2: poll orders/update@1 group=g
		1: poll orders/create@0 group=g`, "", Violated, "key-order"},
}

func TestGroups(t *testing.T) {
	for _, c := range groupTables {
		t.Run(c.name, func(t *testing.T) {
			j := Judge(historyOf(t, c.history), Options{Expect: config(t, c.config)})
			assert.Equal(t, c.verdict, j.Verdict, "%v", j)
			var found []string
			for _, r := range j.Anomalies {
				if r.Undecided == 0 {
					found = append(found, string(r.Anomaly))
				}
				for _, in := range r.Instances {
					assert.NotEqual(t, string(r.Anomaly), in.Message, "it has words")
				}
			}
			assert.ElementsMatch(t, strings.Fields(c.anomalies), found, "%v", j)
		})
	}
}
