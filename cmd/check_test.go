package cmd

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ktrial/ktrial/checkers"
	"github.com/ktrial/ktrial/reports"
)

const corpus = "../checkers/testdata/corpus"

// halfATransfer: of two transfers a reader is given one and a half.
const halfATransfer = `{"type":"invoke","process":1,"f":"assign","client":"reader","value":["accounts/0","accounts/1"],"seek-to-beginning?":true}
{"type":"ok","process":1,"f":"assign","client":"reader","value":["accounts/0","accounts/1"],"seek-to-beginning?":true}
{"type":"invoke","process":0,"f":"txn","client":"till","txn":"till","value":[["send","accounts/0","rent-"],["send","accounts/1","rent+"]]}
{"type":"ok","process":0,"f":"txn","client":"till","txn":"till","value":[["send","accounts/0",[0,"rent-"]],["send","accounts/1",[0,"rent+"]]]}
{"type":"invoke","process":0,"f":"txn","client":"till","txn":"till","value":[["send","accounts/0","wine-"],["send","accounts/1","wine+"]]}
{"type":"ok","process":0,"f":"txn","client":"till","txn":"till","value":[["send","accounts/0",[2,"wine-"]],["send","accounts/1",[2,"wine+"]]]}
{"type":"invoke","process":1,"f":"poll","client":"reader","value":[["poll"]]}
{"type":"ok","process":1,"f":"poll","client":"reader","value":[["poll",{"accounts/0":[[0,"rent-",{"headers":[["amount","-5"]]}],[2,"wine-",{"headers":[["amount","-9"]]}]],"accounts/1":[[2,"wine+",{"headers":[["amount","9"]]}]]}]]}
`

// What a person is told.
func TestCheckTells(t *testing.T) {
	dir, err := filepath.Abs("testdata")
	require.NoError(t, err)
	t.Chdir(corpus)
	unread := "{\"type\":\"invoke\",\"process\":0,\"f\":\"send\",\"value\":[[\"send\",\"x\",1]]}\n" +
		"{\"type\":\"info\",\"process\":0,\"f\":\"send\",\"error\":\"timeout\"}\n"
	for _, c := range []struct {
		name  string
		input string
		args  []string
		code  int
	}{
		{"holds", "", []string{"own-01-valid-basic.edn"}, 0},
		{"violated", "", []string{"own-16-lost-write.edn"}, 1},
		{"permitted", "", []string{"own-16-lost-write.edn", "--config", "acks=1"}, 0},
		{"inconclusive", unread, []string{"-"}, 2},
		{"as-jepsen", "", []string{"own-44-many-anomalies.edn", "--jepsen"}, 1},
		{"rules", halfATransfer, []string{"-", "--config", "zero-sum=accounts:amount"}, 1},
		{"many", "", []string{"own-01-valid-basic.edn", "own-12-aborted-read.edn", "own-16-lost-write.edn",
			"--config", "isolation=read_uncommitted", "--config", "acks=1"}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := piped(t, c.input, append([]string{"check"}, c.args...)...)
			assert.Equal(t, c.code, s.code)
			assert.Empty(t, s.err)
			assert.NotContains(t, s.out, "\x1b", "no colour where there is no terminal")
			golden(t, filepath.Join(dir, "check", c.name+".txt"), "$ ktrial check "+strings.Join(c.args, " ")+"\n"+s.out)
		})
	}
}

// manifest is what each history of the corpus owes.
type manifest struct {
	Histories []struct {
		File   string
		Jepsen struct {
			Errors []string
			Throws string
		}
		Must     []string `json:"must_report"`
		MustNot  []string `json:"must_not_report"`
		Stronger []string `json:"stronger_checker_should_report"`
	}
}

// judged is the part of a judgement that is a contract.
type judged struct {
	File      string
	Verdict   string
	Anomalies []struct {
		Anomaly                            string
		Count, Permitted, Legal, Undecided int
		Ops                                []int64
		Message                            string
	}
	Allowed []struct {
		Anomaly, Reason string
		Count           int
	}
}

func (j judged) names() map[string]bool {
	names := map[string]bool{}
	for _, a := range j.Anomalies {
		names[a.Anomaly] = true
	}
	return names
}

// checkJSON checks with --json and takes the answer apart, by file name.
func checkJSON(t *testing.T, args ...string) (byFile map[string]judged, code int, lines map[string]string) {
	s := apart(t, append([]string{"check", "--json"}, args...)...)
	require.Empty(t, s.err)
	byFile, lines = map[string]judged{}, map[string]string{}
	for line := range strings.Lines(s.out) {
		var j judged
		in := json.NewDecoder(strings.NewReader(line))
		require.NoError(t, in.Decode(&j))
		name := strings.TrimSuffix(filepath.Base(j.File), ".gz")
		byFile[name], lines[name] = j, line
	}
	return byFile, s.code, lines
}

// The command owes for each history of the corpus what its manifest says, and
// nothing of it is lost on the way from the checkers, whose own tests compare
// every instance.
func TestCheckOwesWhatTheManifestSays(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(corpus, "MANIFEST.json"))
	require.NoError(t, err)
	var m manifest
	require.NoError(t, json.Unmarshal(text, &m))
	require.Len(t, m.Histories, 65)

	sound, code, lines := checkJSON(t, corpus)
	require.Equal(t, 1, code)
	require.Len(t, sound, 65)
	asJepsen, _, _ := checkJSON(t, corpus, "--jepsen")
	require.Len(t, asJepsen, 65)

	for _, h := range m.Histories {
		got := sound[h.File].names()
		for _, name := range append(h.Must, h.Stronger...) {
			assert.True(t, got[name], "%s: %s is owed", h.File, name)
		}
		for _, name := range h.MustNot {
			assert.False(t, got[name], "%s: %s is not there", h.File, name)
		}
		for _, a := range sound[h.File].Anomalies {
			assert.Positive(t, a.Count, h.File)
			assert.NotEmpty(t, a.Ops, "%s: %s", h.File, a.Anomaly)
			assert.NotEmpty(t, a.Message, "%s: %s", h.File, a.Anomaly)
		}
		j, err := checkers.JudgeFile(sound[h.File].File, checkers.Options{})
		require.NoError(t, err)
		var want bytes.Buffer
		require.NoError(t, reports.WriteJSON(&want, j))
		assert.Equal(t, want.String(), lines[h.File])

		if h.Jepsen.Throws != "" {
			assert.Equal(t, "inconclusive", asJepsen[h.File].Verdict, h.File)
			continue
		}
		names := asJepsen[h.File].names()
		assert.Len(t, names, len(h.Jepsen.Errors), h.File)
		for _, name := range h.Jepsen.Errors {
			assert.True(t, names[name], "%s: jepsen reports %s", h.File, name)
		}
	}
}

// The exit code is the verdict's, for one history and for many.
func TestCheckExitCodes(t *testing.T) {
	good, bad := filepath.Join(corpus, "own-01-valid-basic.edn"), filepath.Join(corpus, "own-16-lost-write.edn")
	none := write(t, "empty.edn", "[]")
	for _, c := range []struct {
		args []string
		code int
	}{
		{[]string{good}, 0}, {[]string{bad}, 1}, {[]string{none}, 2},
		{[]string{good, none}, 2}, {[]string{none, bad, good}, 1},
		{[]string{bad, "--config", "acks=1"}, 0}, {[]string{good, "--jepsen"}, 0},
	} {
		for _, format := range []string{"--json=false", "--json"} {
			assert.Equal(t, c.code, typed(t, append([]string{"check", format}, c.args...)...).code, "%v", c.args)
		}
	}
}

// A file that is no history is told by its place: what was found there, and
// what was expected. The others are judged all the same.
func TestCheckBrokenFiles(t *testing.T) {
	for _, c := range []struct{ name, text, says string }{
		{"a.edn", "[{:type :ok\n :process}]", "a.edn:2:10: found }, expected a process"},
		{"b.edn", "[{:type :maybe, :process 1}]", "b.edn:1:9: found :maybe, expected :invoke, :ok, :fail or :info"},
		{"c.jsonl", "{\"type\":\"ok\",\"process\":0,\"f\":\"send\",\n\"value\":[[\"sned\",1,[0,1]]]}", "c.jsonl:2:11: found \"sned\", expected a micro-operation"},
		{"d.jsonl", "{\"type\":\"ok\",\"process\":0}\n{\"type\":\"ok\"", "d.jsonl:2:13: found the end of the file, expected }"},
		{"e.json", "{\"scenario\":\"standard\"}", "e.json:1:1: found {, expected an operation with a :type"},
		{"f.edn", "hello", "f.edn:1:1: found hello, expected an operation: a map"},
		{"g.edn.gz", "\x1f\x8bnot gzip at all", "g.edn.gz: gzip: "},
	} {
		path := write(t, c.name, c.text)
		for _, args := range [][]string{{path}, {path, filepath.Join(corpus, "own-01-valid-basic.edn")}, {path, "--json"}} {
			s := typed(t, append([]string{"check"}, args...)...)
			assert.Equal(t, exitUsage, s.code, c.name)
			assert.Contains(t, s.err, c.says)
			assert.Equal(t, 1, strings.Count(s.err, "\n"), s.err)
			assert.Equal(t, len(args) > 1 && args[1] != "--json", strings.Contains(s.out, "holds"), s.out)
		}
	}
	s := typed(t, "check", write(t, "x.edn", "?"), write(t, "y.edn", "!"))
	assert.Contains(t, s.err, "x.edn:1:1")
	assert.Contains(t, s.err, "y.edn:1:1")
}

func TestCheckDrawsATimeline(t *testing.T) {
	page := filepath.Join(t.TempDir(), "page.html")
	s := typed(t, "check", filepath.Join(corpus, "own-16-lost-write.edn"), "--timeline", page)
	require.Equal(t, 1, s.code)
	text, err := os.ReadFile(page)
	require.NoError(t, err)
	assert.Contains(t, string(text), "<html")

	s = typed(t, "check", filepath.Join(corpus, "own-01-valid-basic.edn"), "--timeline", page+"2")
	assert.Equal(t, 0, s.code)
	assert.Contains(t, s.err, "nothing is violated")
}

// The page of anybody's history has its clients, and the first violation as steps.
func TestCheckReport(t *testing.T) {
	file := filepath.Join(t.TempDir(), "page.html")
	s := typed(t, "check", "../checkers/testdata/cases/acks1-int.edn", "--report", file)
	require.Equal(t, 1, s.code, s.err)
	page, err := os.ReadFile(file)
	require.NoError(t, err)
	for _, words := range []string{"<h1>acks1-int.edn</h1>", "2 operations, judged by the baseline", "process 0 sent record 1, then record 2", "process 0 sends 1 to 1</li>", "process 0 is told: success, offset 5</li>"} {
		assert.Contains(t, string(page), words)
	}
	assert.NotContains(t, string(page), "virtual time")
	s = typed(t, "check", "../checkers/testdata/cases", "--report", file)
	assert.Equal(t, exitUsage, s.code)
	assert.Contains(t, s.err, "--report "+file+": found")
	s = typed(t, "check", "../checkers/testdata/cases/acks1-int.edn", "--report", filepath.Join(file, "in", "a", "file"))
	assert.Equal(t, exitUsage, s.code)
}
