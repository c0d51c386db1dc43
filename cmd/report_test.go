package cmd

import (
	"bytes"
	"image/png"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What was written when a run was kept is made again from its trace, byte for byte, and
// in further formats; the directory of a hunt stands for its runs.
func TestReport(t *testing.T) {
	skipIfShort(t)
	t.Parallel()
	hunt := t.TempDir()
	dir := filepath.Join(hunt, "leadership-ping-pong-1")
	require.Equal(t, 1, apart(t, "run", "leadership-ping-pong", "--seed", "1", "--plant", "repl.truncate_to_hw", "--out", dir).code)
	read := func(name string) []byte {
		text, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		return text
	}
	page, plot := read("report.html"), read("timeline.svg")
	for _, name := range []string{"report.html", "timeline.svg"} {
		require.NoError(t, os.Remove(filepath.Join(dir, name)))
	}
	s := apart(t, "report", hunt, "--format", "html,svg,png,md,junit")
	assert.Equal(t, 0, s.code, s.err)
	for _, name := range []string{"report.html", "timeline.svg", "timeline.png", "report.md", "report.xml"} {
		assert.Contains(t, s.out, filepath.Join(dir, name)+"\n")
	}
	assert.True(t, bytes.Equal(page, read("report.html")), "the same page")
	assert.True(t, bytes.Equal(plot, read("timeline.svg")), "the same plot")
	picture, err := png.Decode(bytes.NewReader(read("timeline.png")))
	require.NoError(t, err)
	assert.Equal(t, 1920, picture.Bounds().Dx())
	text := string(read("report.md"))
	assert.Contains(t, text, "**Offsets 264 and 265 of orders/0 were acknowledged and read; 6.99ms later broker-1 cut them off**")
	assert.Contains(t, text, "| 11 | 6.0569s | broker-1 | truncates its log from 266 to 264: the record is gone from it |")
	assert.Contains(t, string(read("report.xml")), `failures="1"`)
	assert.Equal(t, string(page), string(mustRead(t, apart(t, "report", dir), filepath.Join(dir, "report.html"))))

	for _, c := range []struct{ args, says string }{
		{"nowhere", "report: nowhere: found no run.json in it or in the directories below"},
		{"--format=htlm", `format "htlm" is unknown; did you mean html?; expected some of html,svg,png,md,junit`},
	} {
		s = apart(t, "report", c.args, dir)
		assert.Equal(t, exitUsage, s.code)
		assert.Contains(t, s.err, c.says)
	}
	assert.Equal(t, exitUsage, apart(t, "report").code)
	require.NoError(t, os.Remove(filepath.Join(dir, "trace.jsonl.gz")))
	s = apart(t, "report", dir)
	assert.Equal(t, exitUsage, s.code)
	assert.Contains(t, s.err, "trace.jsonl.gz: no such file")
}

func mustRead(t *testing.T, s said, file string) []byte {
	require.Equal(t, 0, s.code, s.err)
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	return text
}
