package checkers

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

// Of a compacted partition the last record of each record key stays.
func TestCompaction(t *testing.T) {
	for _, c := range []struct {
		name, history string
		verdict       Verdict
		anomalies     string // that break a promise or are permitted
	}{
		{"a later value of the same key", `
			1: assign x seek=1
			0: send x/10@0 key=a
			0: send x/11@1 key=b
			0: send x/12@2 key=a
			1: poll x/11@1 key=b
			1: poll x/12@2 key=a`, Holds, ""},
		{"the last value of a key is lost", `
			1: assign x seek=1
			0: send x/10@0 key=a
			0: send x/11@1 key=b
			1: poll x/11@1 key=b`, Violated, "lost-write unseen"},
		{"the last value of a key is lost, an earlier one was read", `
			1: assign x seek=1
			0: send x/10@0 key=a
			0: send x/11@1 key=a
			0: send x/12@2 key=b
			1: poll x/10@0 key=a
			1: poll x/12@2 key=b`, Violated, "lost-write poll-skip unseen"},
		{"the value of the same key on another partition supersedes nothing", `
			1: assign x seek=1
			0: send x/10@0 key=a
			0: send y/11@0 key=a
			0: send x/12@1 key=b
			1: poll x/12@1 key=b`, Violated, "lost-write unseen"},
		{"a later value that failed supersedes nothing", `
			1: assign x seek=1
			0: send x/10@0 key=a
			0: send x/11@1 key=b
			0: txn send x/12@2 key=a fail
			1: poll x/11@1 key=b`, Violated, "lost-write unseen"},
		{"a later value of unknown outcome may have", `
			1: assign x seek=1
			0: send x/10@0 key=a
			0: send x/11@1 key=b
			0: send x/12 key=a info
			1: poll x/11@1 key=b`, Allowed, "lost-write unseen"},
		{"a later record of which no key is told may have", `
			1: assign x seek=1
			0: send x/10@0 key=a
			0: send x/11@1 key=b
			0: send x/12@2
			1: poll x/11@1 x/12@2`, Allowed, "lost-write unseen"},
		{"no client tells keys", deleted, Allowed, "lost-write unseen"},
		{"an earlier record of which no key is told may not", `
			1: assign x seek=1
			0: send x/9@0
			0: send x/10@1 key=a
			0: send x/11@2 key=b
			1: poll x/9@0 x/11@2`, Violated, "int-poll-skip lost-write unseen"},
		{"what was jumped over was superseded before", `
			0: send x/10@0 key=a
			0: send x/11@1 key=b
			0: send x/12@2 key=c
			2: poll x/10@0 x/11@1 x/12@2
			1: poll x/10@0
			0: send x/13@3 key=b
			1: poll x/12@2
			1: poll x/13@3`, Holds, ""},
		{"what was jumped over was superseded only later", `
			0: send x/10@0 key=a
			0: send x/11@1 key=b
			0: send x/12@2 key=c
			2: poll x/10@0 x/11@1 x/12@2
			1: poll x/10@0
			1: poll x/12@2
			0: send x/13@3 key=b
			1: poll x/13@3`, Violated, "poll-skip"},
		{"one of two that were jumped over was not superseded", `
			0: send x/10@0 key=a
			0: send x/11@1 key=b
			0: send x/12@2 key=c
			0: send x/13@3 key=b
			2: poll x/10@0 x/11@1 x/12@2 x/13@3
			1: poll x/10@0 x/13@3`, Violated, "int-poll-skip"},
		{"a poll of unknown outcome brought what was not superseded, and what was jumped over after it was", `
			1: assign x seek=1
			0: send x/10@0 key=a
			0: send x/11@1 key=b
			0: send x/12@2 key=c
			0: send x/13@3 key=d
			2: poll x/10@0 x/11@1 x/12@2 x/13@3
			1: poll x/10@0
			1: poll x/11@1 info
			0: send x/14@4 key=c
			1: poll x/13@3
			1: poll x/14@4`, Holds, ""},
		{"but if that did not bring it either", `
			1: assign x seek=1
			0: send x/10@0 key=a
			0: send x/11@1 key=b
			0: send x/12@2 key=c
			0: send x/13@3 key=d
			2: poll x/10@0 x/11@1 x/12@2 x/13@3
			1: poll x/10@0
			1: poll info
			0: send x/14@4 key=d
			1: poll x/11@1
			1: poll x/13@3
			1: poll x/14@4`, Violated, "poll-skip"},
		{"a value that was sent twice supersedes itself", `
			1: assign x seek=1
			0: send x/10@0 key=a
			0: send x/11@1 key=b
			0: send x/10@2 key=a
			1: poll x/11@1 key=b
			1: poll x/10@2 key=a`, Holds, ""},
		{"not seen by the end, and superseded", `
			0: send x/9@0 key=z
			0: send x/10@1 key=a
			0: send x/11@2 key=a
			1: poll x/9@0 x/11@2
			log: log end x@3`, Holds, ""},
		{"not seen by the end, and the last of its key", `
			0: send x/9@0 key=a
			0: send x/10@1 key=a
			1: poll x/9@0
			log: log end x@2`, Violated, "unseen"},
		{"a tombstone goes, too", `
			1: assign x seek=1
			0: send x/10@0 key=a
			0: send x/nil@1 key=a
			0: send x/12@2 key=b
			1: poll x/12@2`, Holds, ""},
		{"each of several tombstones supersedes records of its own key", `
			1: assign x seek=1
			0: send x/10@0 key=a
			0: send x/11@1 key=b
			0: send x/nil@2 key=a
			0: send x/nil@3 key=b
			0: send x/12@4 key=c
			1: poll x/12@4 key=c`, Holds, ""},
		{"but not those of another", `
			1: assign x seek=1
			0: send x/10@0 key=a
			0: send x/11@1 key=b
			0: send x/nil@2 key=a
			0: send x/nil@3 key=a
			0: send x/12@4 key=c
			1: poll x/12@4 key=c`, Violated, "lost-write unseen"},
		{"a transaction is not torn where its record was superseded", `
			1: assign x y seek=1
			0: txn send x/10@0 send y/20@0 key=a
			0: send x/11@2 key=a
			1: poll y/20@0 x/11@2`, Holds, ""},
		{"a group need not be given what was superseded", `
			0: send x/9@0 key=z
			0: send x/10@1 key=a
			0: send x/11@2 key=a
			1: poll x/9@0 x/11@2 group=g
			1: commit x@3 group=g`, Holds, ""},
		{"but the last of each key", `
			0: send x/9@0 key=z
			0: send x/10@1 key=a
			0: send x/11@2 key=b
			1: poll x/9@0 x/11@2 group=g
			1: commit x@3 group=g`, Violated, "group-skip int-poll-skip lost-write unseen"},
	} {
		t.Run(c.name, func(t *testing.T) {
			j := Judge(historyOf(t, c.history), Options{Expect: config(t, "cleanup.policy=compact")})
			assert.Equal(t, c.verdict, j.Verdict, "%v", j)
			var found []string
			for _, r := range j.Anomalies {
				if r.Count > r.Legal {
					found = append(found, string(r.Anomaly))
				}
			}
			assert.ElementsMatch(t, strings.Fields(c.anomalies), found, "%v", j)

			j = Judge(historyOf(t, c.history), Options{})
			assert.Equal(t, Violated, j.Verdict, "without compaction: %v", j)
		})
	}
}
