package conformance_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// franzSmoke is a part of franz-go's suite: chains of groups with transactions in both protocols, and chains
// without of which the second has static members.
const franzSmoke = "TestTxnEtl/^range|TestGroupETL/^sticky|TestGroupSimple"

// TestFranz runs franz-go's own integration tests, those of its package kgo at the version of our
// go.mod, on ktrial serve. What they skip is said. No broker is killed: to them each error of a poll
// is a failure. TestTransactions and TestClients kill brokers under franz-go.
func TestFranz(t *testing.T) {
	suite := franzSuite(t)
	t.Parallel()
	records, part := "5000", []string{"-test.run", franzSmoke}
	if *whole {
		records, part = "500000", []string{"-test.skip", franzEarly}
	}
	c := newServed(t, "group.initial.rebalance.delay.ms=0")
	runFranz(t, suite, c.addr, records, "-test.run", franzEarly)
	runFranz(t, suite, c.addr, records, part...)
}

// franzEarly counts the topics that it was given records of, and __consumer_offsets, which it subscribes to,
// counts for one that it should wait for: it passes while nothing is there yet, so it goes first.
const franzEarly = "Test848RegexBrokerResolves"

// franzSuite is franz-go's tests as a program.
func franzSuite(t *testing.T) string {
	t.Helper()
	atLength(t)
	file, err := franzProgram()
	if err != nil {
		t.Skipf("go build of franz-go's tests: %v", err)
	}
	return file
}

var franzProgram = sync.OnceValues(func() (string, error) {
	dir, err := programDir()
	if err != nil {
		return "", err
	}
	file := filepath.Join(dir, "kgo.test")
	if out, err := exec.Command("go", "test", "-c", "-o", file, "github.com/twmb/franz-go/pkg/kgo").CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, lastLine(out))
	}
	return file, nil
})

var (
	franzResult = regexp.MustCompile(`^\s*--- (PASS|FAIL|SKIP): (\S+) \(`)
	franzReason = regexp.MustCompile(`^\s+\w+\.go:\d+: (.*)`)
)

// reasonBefore is what a test said last of why it skips: what it cleans up is said behind that.
func reasonBefore(lines []string) (reason string) {
	for _, line := range slices.Backward(lines) {
		r := franzReason.FindStringSubmatch(line)
		if r == nil {
			return reason
		}
		reason = r[1]
	}
	return reason
}

// runFranz runs the suite and reports what it skips and what fails.
func runFranz(t *testing.T, suite, addr, records string, args ...string) {
	cmd := exec.Command(suite, append([]string{"-test.v", "-test.timeout", "60m", "-test.parallel", "8"}, args...)...)
	// Some of its tests read the sources.
	if source, err := exec.Command("go", "list", "-f", "{{.Dir}}", "github.com/twmb/franz-go/pkg/kgo").Output(); err == nil {
		cmd.Dir = strings.TrimSpace(string(source))
	}
	cmd.Env = append(os.Environ(), "KGO_SEEDS="+addr, "KGO_TEST_RECORDS="+records, "KGO_LOG_LEVEL=none", "KGO_TEST_RF=3")
	began := time.Now()
	out, err := cmd.CombinedOutput()
	lines := strings.Split(string(out), "\n")
	passed := 0
	var skipped, failed []string
	for i, line := range lines {
		m := franzResult.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		switch m[1] {
		case "PASS":
			passed++
		case "SKIP":
			skipped = append(skipped, m[2]+": "+reasonBefore(lines[:i]))
		case "FAIL":
			failed = append(failed, m[2])
		}
	}
	slices.Sort(skipped)
	t.Logf("franz-go: %d passed, %d failed, %d skipped in %v", passed, len(failed), len(skipped), time.Since(began).Round(time.Second))
	for _, s := range skipped {
		t.Logf("franz-go skips %s", s)
	}
	assert.Positive(t, passed)
	if err != nil {
		keep := filepath.Join(os.TempDir(), "franz-"+strings.ReplaceAll(t.Name(), "/", "-")+".log")
		_ = os.WriteFile(keep, out, 0o644)
		t.Errorf("franz-go: %v: %s; all that it said is in %s; the end:\n%s", err, strings.Join(failed, ", "), keep, tail(string(out)))
	}
}
