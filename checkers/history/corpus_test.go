package history

import (
	"path/filepath"
	"testing"
	"time"
)

func TestScratch(t *testing.T) {
	files, _ := filepath.Glob("/work/shared/corpus/*.edn")
	for _, f := range files {
		h, err := ReadFile(f)
		if err != nil {
			t.Error(f, err)
			continue
		}
		t.Log(filepath.Base(f), h.Len(), h.Events(), h.Records(), len(h.Notes()))
	}
	s := time.Now()
	h, err := ReadFile("/work/shared/corpus/own-49-generated-valid-notxn-2000.edn")
	t.Log(time.Since(s), h.Len(), err)
}
