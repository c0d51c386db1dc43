package checkers

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

// Histories on which a judge went wrong, in testdata/cases, and what is right:
// the verdict and the anomalies that break a promise or are permitted.
var cases = []struct {
	file, config string
	verdict      Verdict
	anomalies    string
}{
	// A consumer that begins at the end owes nothing of what was there before.
	{"latest.edn", "", Holds, ""},
	{"latest.edn", "auto.offset.reset=latest", Holds, ""},
	{"latest.edn", "auto.offset.reset=earliest", Violated, "lost-write unseen"},
	// Two acknowledged sends of one value are two records; one send is one.
	{"repeatvalue.edn", "", Holds, ""},
	{"resend-once.edn", "", Violated, "duplicate"},
	{"resend-once.edn", "resend=true", Violated, "duplicate"},
	{"resend-once.edn", "enable.idempotence=false", Allowed, "duplicate"},
	// An acknowledgement that nothing contradicts counts everywhere.
	{"late-retry.edn", "enable.idempotence=false", Allowed, "duplicate"},
	{"late-retry.edn", "", Violated, "duplicate"},
	{"acks1-int.edn", "acks=1", Allowed, "int-nonmonotonic-send unseen"},
	{"acks1-int.edn", "", Violated, "int-nonmonotonic-send unseen"},
	{"retention.edn", "retention=true", Allowed, "lost-write poll-skip unseen"},
	{"retention.edn", "", Violated, "lost-write poll-skip unseen"},
	{"untold.edn", "", Holds, ""},
	{"eoshole.jsonl", "", Violated, "group-skip poll-skip"},
	{"eoshole.jsonl", "subscribe=true", Violated, "group-skip poll-skip"},
	{"sub-assign.edn", "subscribe=true", Violated, "poll-skip"},
	{"own.jsonl", "subscribe=true", Violated, "two-owners"},
	{"stalecommit.jsonl", "subscribe=true", Violated, "stale-commit"},
	{"header.jsonl", "", Violated, "changed-record"},
	{"header.jsonl", "message.timestamp.type=LogAppendTime", Violated, "changed-record"},
}

func TestCases(t *testing.T) {
	for _, c := range cases {
		t.Run(c.file+"/"+c.config, func(t *testing.T) {
			j := judgeFile(t, "testdata/cases/"+c.file, Options{Expect: config(t, c.config)})
			assert.Equal(t, c.verdict, j.Verdict, "%v", j)
			assert.ElementsMatch(t, strings.Fields(c.anomalies), anomalies(j), "%v", j)
		})
	}
}
