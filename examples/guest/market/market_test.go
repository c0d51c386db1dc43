package market

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ktrial/ktrial"
	"github.com/ktrial/ktrial/checkers"
	"github.com/ktrial/ktrial/faults"
	"github.com/ktrial/ktrial/scenarios/trial"
)

func TestEachOrderIsInvoicedOnce(t *testing.T) {
	ktrial.Try(t, Invoices, ktrial.Seeds(1, 5))
}

// A check that cannot fail proves nothing: the forgetful clerk is found.
func TestAForgetfulClerkIsFound(t *testing.T) {
	r, err := trial.Run(Invoices, trial.Options{Seed: 1, Set: map[string]string{"clerk": "forgetful"}})
	require.NoError(t, err)
	assert.Equal(t, checkers.Violated, r.Report.Verdict)
	require.NotEmpty(t, r.Report.Violations)
	assert.Equal(t, InvoicedOnce.Name, r.Report.Violations[0].Check)
}

// The fault prints and parses as ktrial's own do.
func TestCrashTwiceParsesBack(t *testing.T) {
	const line = "crash clerk twice within 500ms"
	f, err := faults.Parse(line)
	require.NoError(t, err)
	assert.Equal(t, line, f.String())
	_, err = faults.Parse("crash clerk twice within 0s")
	assert.ErrorContains(t, err, "expected more than 0")
}

// What a failing run says to type next works as it is printed.
func TestTheCommandOfAFailingRunWorks(t *testing.T) {
	r, err := trial.Run(Invoices, trial.Options{Seed: 1, Set: map[string]string{"clerk": "forgetful"}, Program: "go run ."})
	require.NoError(t, err)
	words := strings.Fields(r.Report.Again)
	c := exec.Command(words[0], words[1:]...)
	c.Dir, c.Env = "..", os.Environ()
	out, err := c.CombinedOutput()
	var failed *exec.ExitError
	require.ErrorAs(t, err, &failed, "%s", out)
	assert.Contains(t, string(out), "FAIL invoices seed 1")
	assert.Contains(t, string(out), "trace "+r.Report.TraceHash)
	assert.Contains(t, string(out), "again:   "+r.Report.Again)
}
