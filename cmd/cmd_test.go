package cmd

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var rewrite = flag.Bool("rewrite", false, "write the golden files anew")

// said is what a command answered.
type said struct {
	code     int
	out, err string
}

// typed runs a command as if it were typed, with nothing on standard input.
func typed(t *testing.T, args ...string) said { return piped(t, "", args...) }

// piped runs a command with text on standard input. Nothing of it is a terminal.
func piped(t *testing.T, input string, args ...string) (s said) {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "in"), []byte(input), 0o644))
	swap := func(file **os.File, name string) (restore func() string) {
		f, err := os.OpenFile(filepath.Join(dir, name), os.O_CREATE|os.O_RDWR, 0o644)
		require.NoError(t, err)
		old := *file
		*file = f
		return func() string {
			*file = old
			f.Close()
			text, err := os.ReadFile(f.Name())
			require.NoError(t, err)
			return string(text)
		}
	}
	in, out, err := swap(&os.Stdin, "in"), swap(&os.Stdout, "out"), swap(&os.Stderr, "err")
	s.code = run(args)
	s.err, s.out = err(), out()
	in()
	return s
}

// skipIfShort skips what plays whole runs, or serves a cluster for seconds.
func skipIfShort(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("short: whole runs, a browser, or a served cluster")
	}
}

// golden compares text with a file of testdata.
func golden(t *testing.T, file, text string) {
	t.Helper()
	if *rewrite {
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
		require.NoError(t, os.WriteFile(file, []byte(text), 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, string(want), text, "see %s; -rewrite writes it anew", file)
}

// write makes a file in a directory of the test's own and returns its path.
func write(t *testing.T, name, text string) string {
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
	return path
}

// A user that mistypes is told what was wrong, what is possible, and the
// nearest name, in a line, with exit code 64.
func TestWrongArguments(t *testing.T) {
	badPlan := write(t, "plan.txt", "at 5s for 2s: power off leader of orders/0\nat 6s: pwer-off broker-1\n")
	for _, c := range []struct {
		args []string
		says []string
	}{
		{[]string{"rum"}, []string{`command "rum" is unknown; did you mean run? (see: ktrial --help)`}},
		{[]string{"--jsn"}, []string{`flag "--jsn" is unknown (see: ktrial --help)`}},
		{[]string{"run"}, []string{"run: found 0 arguments, expected a SCENARIO", "ktrial list"}},
		{[]string{"run", "standard", "acks-one"}, []string{"run: found 2 arguments, expected a SCENARIO"}},
		{[]string{"run", "standrad"}, []string{`scenario "standrad" is unknown; did you mean standard? (see: ktrial list)`}},
		{[]string{"run", "qqqqqqqqqqqq"}, []string{`scenario "qqqqqqqqqqqq" is unknown (see: ktrial list)`}},
		{[]string{"run", "standard", "--seed", "x"}, []string{`--seed "x"`, "expected a whole number"}},
		{[]string{"run", "standard", "--seed", "-1"}, []string{`--seed "-1"`, "expected a whole number"}},
		{[]string{"run", "standard", "--sed", "1"}, []string{`flag "--sed" is unknown; did you mean --seed? (see: ktrial run --help)`}},
		{[]string{"run", "standard", "--set", "acks"}, []string{`--set "acks": expected key=value`}},
		{[]string{"run", "standard", "--set", "akcs=1"}, []string{`"akcs" is unknown; did you mean acks?`}},
		{[]string{"run", "standard", "--set", "acks=7"}, []string{"acks=7: Invalid value 7 for configuration acks: String must be one of: all, -1, 0, 1"}},
		{[]string{"run", "standard", "--set", "duration=soon"}, []string{"duration", `"soon"`, "such as 30s"}},
		{[]string{"run", "standard", "--set", "duration=-5s"}, []string{"duration", `"-5s"`}},
		{[]string{"run", "standard", "--set", "producers=-1"}, []string{"producers", `"-1"`}},
		{[]string{"run", "standard", "--set", "min.insync.replica=1"}, []string{"did you mean min.insync.replicas?"}},
		{[]string{"run", "standard", "--set", "replica.lag.time.max.ms=fast"}, []string{"Invalid value fast for configuration replica.lag.time.max.ms: Not a number of type LONG"}},
		{[]string{"run", "standard", "--plant", "idem.no_windwo"}, []string{`planted bug "idem.no_windwo" is unknown; did you mean idem.no_window? (see: ktrial list)`}},
		{[]string{"run", "standard", "--set", "acks=1"}, []string{"Must set acks to all in order to use the idempotent producer."}},
		{[]string{"run", "standard", "--set", "max.in.flight.requests.per.connection=6"}, []string{"max.in.flight.requests.per.connection must be set to at most 5. Current value is 6."}},
		{[]string{"run", "standard", "--set", "request.timeout.ms=0"}, []string{"Invalid value 0 for configuration request.timeout.ms: Value must be at least 1"}},
		{[]string{"run", "standard", "--set", "replica.fetch.wait.max.ms=31000"}, []string{"replica.socket.timeout.ms should always be at least replica.fetch.wait.max.ms"}},
		{[]string{"run", "standard", "--set", "delivery.timeout.ms=1000"}, []string{"delivery.timeout.ms should be equal to or larger than linger.ms + request.timeout.ms"}},
		{[]string{"run", "standard", "--set", "node.id=5"}, []string{"node.id=5: ", "the shape of the cluster gives it"}},
		{[]string{"run", "standard", "--set", "retention.ms=-2"}, []string{"Invalid value -2 for configuration retention.ms: Value must be at least -1"}},
		{[]string{"run", "standard", "--set", "min.compaction.lag.ms=9", "--set", "max.compaction.lag.ms=5"}, []string{"topic orders: conflict topic config setting min.compaction.lag.ms (9) > max.compaction.lag.ms (5)"}},
		{[]string{"run", "standard", "--set", "auto.offset.reset=by_duration:1H"}, []string{"Invalid value by_duration:1H for configuration auto.offset.reset"}},
		{[]string{"run", "standard", "--plan", write(t, "hosts.txt", "\nat 1s: kill broker-4\n")}, []string{`hosts.txt: plan: line 2: fault "kill broker-4": host "broker-4" is unknown; did you mean broker-1?`}},
		{[]string{"run", "standard", "--plan", "nowhere.txt"}, []string{"nowhere.txt", "no such file"}},
		{[]string{"run", "standard", "--plan", badPlan}, []string{badPlan + ": plan: line 2: ", `"pwer-off broker-1"`}},
		{[]string{"run", "standard", "--seed", "1", "--out", badPlan}, []string{"--out", badPlan, "not a directory"}},
		{[]string{"hunt", "standrad"}, []string{"did you mean standard?"}},
		{[]string{"hunt", "--seeds", "9..1"}, []string{`--seeds "9..1": expected A..B with A not above B`}},
		{[]string{"hunt", "--seeds", "many"}, []string{`--seeds "many": expected A..B`}},
		{[]string{"hunt", "--shard", "4/4"}, []string{`--shard "4/4": expected i/n with 0 <= i < n`}},
		{[]string{"hunt", "--for", "long"}, []string{`--for "long"`, "expected a duration, such as 30s or 10m"}},
		{[]string{"hunt", "--for", "-1m"}, []string{`--for -1m`, "expected a time above 0"}},
		{[]string{"hunt", "--jobs", "0"}, []string{"--jobs 0: expected 1 or more"}},
		{[]string{"hunt", "standard", "--seeds", "1", "--set", "akcs=1"}, []string{`"akcs" is unknown; did you mean acks?`}},
		{[]string{"hunt", "standard", "--seeds", "1", "--out", badPlan}, []string{"--out", badPlan, "not a directory"}},
		{[]string{"list", "scenarois"}, []string{`list: kind "scenarois" is unknown; did you mean scenarios?`}},
		{[]string{"list", "scenarios", "faults"}, []string{"list: found 2 arguments, expected one of scenarios, workloads"}},
		{[]string{"trace"}, []string{"trace: found 0 arguments, expected a FILE"}},
		{[]string{"trace", "no-such-file"}, []string{"no such file"}},
		{[]string{"run", "standard", "--only", "orders/0"}, []string{"expected --story, too"}},
		{[]string{"replay"}, []string{"replay: found 0 arguments, expected a FILE"}},
		{[]string{"replay", "testdata"}, []string{"testdata: found a directory, expected the run.json of a recorded run (try: ktrial replay testdata/run.json)"}},
		{[]string{"replay", "nowhere.json"}, []string{"nowhere.json", "no such file"}},
		{[]string{"check"}, []string{"found no history, expected files, folders, or - for standard input"}},
		{[]string{"check", "nowhere.edn"}, []string{"nowhere.edn", "no such file"}},
		{[]string{"check", t.TempDir()}, []string{"found no .edn or .jsonl file"}},
		{[]string{"check", "-", "-"}, []string{"standard input can be read only once"}},
		{[]string{"check", "-", "--config", "ack=1"}, []string{`config "ack" is unknown; did you mean acks?`, "possible are acks,"}},
		{[]string{"check", "-", "--config", "acks=some"}, []string{"acks=some: expected one of all, 1, 0"}},
		{[]string{"check", "-", "--jespen"}, []string{`flag "--jespen" is unknown; did you mean --jepsen? (see: ktrial check --help)`}},
		{[]string{"serve", "--brokers", "0"}, []string{"--brokers 0: expected 1 or more"}},
		{[]string{"serve", "now"}, []string{"serve: found 1 argument, expected none"}},
	} {
		t.Run(strings.Join(c.args, " "), func(t *testing.T) {
			s := typed(t, c.args...)
			assert.Equal(t, exitUsage, s.code, s.out+s.err)
			assert.Empty(t, s.out)
			for _, what := range c.says {
				assert.Contains(t, s.err, what)
			}
			assert.Equal(t, 1, strings.Count(s.err, "\n"), s.err)
			assert.True(t, strings.HasPrefix(s.err, "ktrial: "), s.err)
		})
	}
}
