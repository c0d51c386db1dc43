package checkers

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ktrial/ktrial/checkers/explain"
)

// The shape that scripts rely on.
func TestJudgementAsJSON(t *testing.T) {
	text, err := json.Marshal(judgeFile(t, corpusFile("own-12-aborted-read.edn"), Options{Expect: config(t, "isolation=read_uncommitted")}))
	require.NoError(t, err)
	var got struct {
		File, Verdict string
		Anomalies     []struct {
			Anomaly, Message string
			Count            int
			Ops              []int64
		}
		Allowed []struct {
			Anomaly, Reason string
			Count           int
		}
	}
	require.NoError(t, json.Unmarshal(text, &got))
	assert.Equal(t, "allowed", got.Verdict)
	assert.Equal(t, corpusFile("own-12-aborted-read.edn"), got.File)
	require.Len(t, got.Anomalies, 1)
	assert.Equal(t, "G1a", got.Anomalies[0].Anomaly)
	assert.Equal(t, []int64{3, 7}, got.Anomalies[0].Ops)
	require.Len(t, got.Allowed, 1)
	assert.Equal(t, "G1a", got.Allowed[0].Anomaly)
	assert.Equal(t, 1, got.Allowed[0].Count)

	text, err = json.Marshal(judgeFile(t, corpusFile("own-01-valid-basic.edn"), Options{}))
	require.NoError(t, err)
	assert.Contains(t, string(text), `"verdict":"holds","anomalies":[],"allowed":[]`)
}

func TestJudgementAsText(t *testing.T) {
	j := judgeFile(t, corpusFile("own-16-lost-write.edn"), Options{})
	assert.Contains(t, j.String(), `violated
  lost-write: 1
    11 of 1@1 was never read, though a record at 1@2 was
      11 was acknowledged at 1@1 to process 0 (op 5) at 5ms
      so whoever reads 1 up to 1 or beyond must be given it, for records come in the order of their offsets
      process 1 (op 11) polled 1@2 and was given 12, at 11ms
      yet no successful poll ever returned 11: contradiction
      process 0  |-send 11 @1 -|
      process 1                  |-poll 12 @2 -|
`)
}

func TestTheSameHistoryGivesTheSameWords(t *testing.T) {
	path := corpusFile("own-44-many-anomalies.edn")
	first := judgeFile(t, path, Options{}).String()
	for range 20 {
		require.Equal(t, first, judgeFile(t, path, Options{}).String())
	}
}

func TestTimeline(t *testing.T) {
	h := historyOf(t, truncatedAck)
	j := Judge(h, Options{})
	var page bytes.Buffer
	require.NoError(t, explain.Timeline(&page, h, j.Anomalies[0].Ops))
	assert.Contains(t, page.String(), "send :x@5=10;")
	assert.Error(t, explain.Timeline(&page, h, make([]int64, 100)))
}

func TestFiles(t *testing.T) {
	files, err := Files([]string{"testdata/corpus", "-"})
	require.NoError(t, err)
	assert.Len(t, files, 66)
	_, err = Files([]string{"no such file"})
	assert.Error(t, err)
	empty := filepath.Join(t.TempDir(), "empty")
	require.NoError(t, os.Mkdir(empty, 0o755))
	_, err = Files([]string{empty})
	assert.Error(t, err)
}

func TestWorst(t *testing.T) {
	assert.Equal(t, Holds, Worst(Holds, Holds))
	assert.Equal(t, Allowed, Worst(Holds, Allowed, Holds))
	assert.Equal(t, Inconclusive, Worst(Allowed, Inconclusive, Holds))
	assert.Equal(t, Violated, Worst(Holds, Violated, Inconclusive))
	assert.Equal(t, Verdict(""), Worst())
	for verdict, code := range map[Verdict]int{Holds: 0, Allowed: 0, Violated: 1, Inconclusive: 2} {
		assert.Equal(t, code, verdict.ExitCode())
	}
	assert.Equal(t, Violated, Allowed.Strict())
	assert.Equal(t, Holds, Holds.Strict())
}
