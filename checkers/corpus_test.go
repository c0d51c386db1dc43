package checkers

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var long = flag.Bool("long", false, "run the long tests too")

// manifest is what each history of the corpus is expected to show: with
// Jepsen's own checker, and with a sound one.
type manifest struct {
	Histories []struct {
		File   string
		Jepsen struct {
			Errors   []string
			ErrorsWW []string `json:"errors_ww_deps"`
			Bad      struct{ Assign, Subscribe []string }
			Throws   string
		}
		Must     []string                   `json:"must_report"`
		May      []string                   `json:"may_report"`
		Stronger []string                   `json:"stronger_checker_should_report"`
		Details  map[string]json.RawMessage `json:"expect_details"`
	}
}

func readManifest(t *testing.T) (m manifest) {
	text, err := os.ReadFile("testdata/corpus/MANIFEST.json")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &m))
	require.Len(t, m.Histories, 65)
	return m
}

func corpusFile(name string) string {
	path := filepath.Join("testdata/corpus", name)
	if _, err := os.Stat(path); err != nil {
		return path + ".gz"
	}
	return path
}

func judgeFile(t *testing.T, path string, o Options) *Judgement {
	j, err := JudgeFile(path, o)
	require.NoError(t, err)
	return j
}

func anomalies(j *Judgement) []string {
	names := []string{}
	for _, r := range j.Anomalies {
		names = append(names, string(r.Anomaly))
	}
	sort.Strings(names)
	return names
}

func TestCorpus(t *testing.T) {
	for _, h := range readManifest(t).Histories {
		t.Run(h.File, func(t *testing.T) {
			j := judgeFile(t, corpusFile(h.File), Options{})
			got := anomalies(j)
			for _, name := range append(h.Must, h.Stronger...) {
				assert.Contains(t, got, name)
			}
			for _, name := range got {
				assert.Contains(t, append(append(h.Must, h.May...), h.Stronger...), name, "reported, and must not be")
			}
			for _, r := range j.Anomalies {
				if details, ok := h.Details[string(r.Anomaly)]; ok {
					matchDetails(t, &r, details)
				}
				for _, in := range r.Instances {
					assert.NotEmpty(t, in.Message)
					assert.LessOrEqual(t, len(in.Ops), 10, in.Message)
				}
			}
		})
	}
}

func TestCorpusAsJepsenSeesIt(t *testing.T) {
	for _, h := range readManifest(t).Histories {
		t.Run(h.File, func(t *testing.T) {
			j := judgeFile(t, corpusFile(h.File), Options{Jepsen: true})
			if h.Jepsen.Throws != "" {
				assert.Equal(t, Inconclusive, j.Verdict)
				assert.Contains(t, j.Notes[0], h.Jepsen.Throws)
				return
			}
			assert.Equal(t, h.Jepsen.Errors, anomalies(j))
			assert.Equal(t, len(h.Jepsen.Bad.Assign) > 0, j.Verdict == Violated)

			j = judgeFile(t, corpusFile(h.File), Options{Jepsen: true, Expect: config(t, "sub-via=subscribe")})
			assert.Equal(t, len(h.Jepsen.Bad.Subscribe) > 0, j.Verdict == Violated, "with subscribe")

			j = judgeFile(t, corpusFile(h.File), Options{Jepsen: true, Expect: config(t, "ww-deps=true")})
			assert.Equal(t, h.Jepsen.ErrorsWW, anomalies(j), "with ww-deps")
		})
	}
}

func config(t *testing.T, text string) Expectations {
	e, err := ParseConfig(text)
	require.NoError(t, err)
	return e
}

// detail is an instance as the manifest lists it.
type detail struct {
	Key, Value, Offset any
	Values, Skipped    []any
	Offsets            []int64
	Delta              *int
	Writer, Reader, Op *int64
	MaxRead            *int64 `json:"max-read"`
	Ops, Cycle         []int64
}

func matchDetails(t *testing.T, r *Report, raw json.RawMessage) {
	if r.Anomaly == Unseen {
		var byKey map[string][]any
		require.NoError(t, json.Unmarshal(raw, &byKey))
		n := 0
		for key, values := range byKey {
			for _, v := range values {
				n++
				assert.True(t, someInstance(r, func(in *Instance) bool { return in.Partition == key && in.Values[0] == fmt.Sprint(v) }))
			}
		}
		assert.Equal(t, n, r.Count)
		return
	}
	var details []detail
	require.NoError(t, json.Unmarshal(raw, &details))
	assert.Equal(t, len(details), r.Count, "instances of %s", r.Anomaly)
	for _, d := range details {
		assert.True(t, someInstance(r, func(in *Instance) bool { return d.matches(r.Anomaly, in) }), "%s: no instance is %+v: %+v", r.Anomaly, d, r.Instances)
	}
}

func someInstance(r *Report, such func(*Instance) bool) bool {
	for i := range r.Instances {
		if such(&r.Instances[i]) {
			return true
		}
	}
	return false
}

func texts(values []any) (out []string) {
	for _, v := range values {
		out = append(out, fmt.Sprint(v))
	}
	return out
}

func (d *detail) matches(anomaly Anomaly, in *Instance) bool {
	ops := map[int64]bool{}
	for _, op := range in.Ops {
		ops[op] = true
	}
	all := true
	must := func(ok bool) { all = all && ok }
	for _, op := range append(append([]int64{}, d.Ops...), d.Cycle...) {
		must(ops[op])
	}
	for _, op := range []*int64{d.Writer, d.Reader, d.Op, d.MaxRead} {
		must(op == nil || ops[*op])
	}
	must(d.Writer == nil || *d.Writer == in.Writer)
	must(d.Reader == nil || *d.Reader == in.Reader)
	must(d.MaxRead == nil || *d.MaxRead == in.Reader)
	must(d.Key == nil || fmt.Sprint(d.Key) == in.Partition)
	must(d.Value == nil || fmt.Sprint(d.Value) == in.Values[0])
	must(d.Delta == nil || *d.Delta == in.Delta)
	must(d.Skipped == nil || assert.ObjectsAreEqual(texts(d.Skipped), in.Skipped))
	must(d.Offsets == nil || assert.ObjectsAreEqual(d.Offsets, in.Offsets))
	must(d.Offset == nil || fmt.Sprint(d.Offset) == fmt.Sprint(in.Offsets[0]))
	if d.Values != nil {
		want, got := texts(d.Values), append([]string{}, in.Values...)
		if anomaly == InconsistentOffsets {
			sort.Strings(want)
			sort.Strings(got)
		}
		must(assert.ObjectsAreEqual(want, got))
	}
	return all
}
