package checkers

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ktrial/ktrial/checkers/history"
)

// Whatever is in a file, reading and judging it ends without a panic.
func FuzzJudge(f *testing.F) {
	files, _ := filepath.Glob("testdata/corpus/own-[0-3]*.edn")
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
		h, err := history.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		var lines bytes.Buffer
		_ = h.Write(&lines, history.JSON)
		f.Add(lines.String())
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, o := range []Options{{}, {Jepsen: true}} {
			j, err := JudgeReader("fuzz", strings.NewReader(text), o)
			if err == nil {
				var page bytes.Buffer
				page.WriteString(j.String())
			}
		}
	})
}
