package cmd

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// openTerminal is a terminal of so many columns.
func openTerminal(t *testing.T, columns uint16) *os.File {
	terminal, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("there are no terminals here: %v", err)
	}
	t.Cleanup(func() { terminal.Close() })
	require.NoError(t, unix.IoctlSetWinsize(int(terminal.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 50, Col: columns}))
	return terminal
}

// On a terminal no line of a report or a list is longer than it is wide, but for
// command lines, which are copied, and what is drawn.
func TestReportsFitTheTerminal(t *testing.T) {
	const columns = 70
	master := openTerminal(t, columns)
	for _, args := range [][]string{
		{"list", "scenarios"},
		{"run", "--help"},
		{"run", "late-requests", "--seed", "1", "--plant", "idem.no_window"},
		{"hunt", "standard", "--seeds", "1", "--set", "duration=1s"},
	} {
		s := typedOn(t, master, args...)
		require.Less(t, s.code, exitUsage)
		for _, line := range strings.Split(s.out, "\n") {
			line = strings.TrimRight(plain.Replace(line), "\r")
			if strings.Contains(line, "ktrial ") || strings.Contains(line, " |-") || strings.Contains(line, "-|") || strings.Contains(line, "seeds per second") {
				continue
			}
			assert.LessOrEqual(t, utf8.RuneCountInString(line), columns, line)
		}
	}
}

// plain takes the colours off.
var plain = strings.NewReplacer("\x1b[31m", "", "\x1b[32m", "", "\x1b[33m", "", "\x1b[0m", "")

// typedOn runs a command whose standard output is a terminal, and returns what
// arrives there.
func typedOn(t *testing.T, master *os.File, args ...string) said {
	t.Helper()
	require.NoError(t, unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0))
	number, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	require.NoError(t, err)
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("there are no terminals here: %v", err)
	}
	out := make(chan string)
	go func() {
		var all strings.Builder
		b := make([]byte, 4096)
		for {
			n, err := master.Read(b)
			all.Write(b[:n])
			if err != nil || strings.Contains(all.String(), end) {
				out <- strings.Split(all.String(), end)[0]
				return
			}
		}
	}()
	old := os.Stdout
	os.Stdout = slave
	code := run(args)
	os.Stdout = old
	_, err = slave.WriteString(end)
	require.NoError(t, err)
	text := <-out
	slave.Close()
	return said{code: code, out: text}
}

// end is what no report has.
const end = "\x04\x04\x04"
