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
    record 11 (partition 1, offset 1) was never read, though partition 1, offset 2 was
      record 11 (partition 1, offset 1) was acknowledged to process 0 (op 5) at 5ms
      so a consumer that reads partition 1 past offset 1 must be given it, for records come in the order of their offsets
      process 1 (op 11) was given record 12 (partition 1, offset 2) by a poll at 11ms
      yet no successful poll ever returned record 11: contradiction
      process 0  |-send record 11 @1 -|
      process 1                         |-poll record 12 @2 -|
  and what follows from it
    poll-skip: 1, from lost-write: process 1 (op 11) jumped from partition 1, offset 0 to offset 2 over record 11
    unseen: 1, from lost-write: record 11 (partition 1, offset 1) was never read by the end
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
	for verdict, passes := range map[Verdict]bool{Holds: true, Allowed: true, Violated: false, Inconclusive: false} {
		assert.Equal(t, passes, verdict.Passes())
	}
	assert.Equal(t, Violated, Allowed.Strict())
	assert.Equal(t, Holds, Holds.Strict())
}
