package files_test

import (
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/ktrial/ktrial/broker/files"
	"github.com/ktrial/ktrial/sim"
	"github.com/ktrial/ktrial/sim/env"
)

// Whenever the power goes, the file holds all of what was last replaced, or all
// of what was just being put in its place.
func TestReplaceSurvivesALossOfPower(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := sim.NewWorld(sim.Config{Seed: rapid.Uint64().Draw(t, "seed")})
		defer w.Close()
		version := func(n int) string { return fmt.Sprintf("version %d of the file", n) }
		done := 0
		w.After(time.Duration(rapid.IntRange(0, 20_000).Draw(t, "at"))*time.Microsecond, "power off", func() { w.Host("host").PowerOff() })
		err := w.RunMain("host", func(h env.Host) {
			if err := files.MkdirAll(h.Disk(), "a/b"); err != nil {
				t.Fatal(err)
			}
			for {
				if err := files.Replace(h.Disk(), "a/b/file", "a/b/file.tmp", []byte(version(done+1))); err != nil {
					t.Fatal(err)
				}
				done++
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		err = w.RunMain("host", func(h env.Host) {
			got, err := files.Read(h.Disk(), "a/b/file")
			switch {
			case done == 0 && errors.Is(err, env.ErrNotExist):
			case err != nil:
				t.Fatalf("after %d versions: %v", done, err)
			case string(got) != version(done) && string(got) != version(done+1):
				t.Fatalf("the file holds %q after %d versions", got, done)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

func TestReadOfAShortOrMissingFile(t *testing.T) {
	sim.RunHost(t, 1, func(h env.Host) {
		_, err := files.Read(h.Disk(), "file")
		assert.ErrorIs(t, err, env.ErrNotExist)
		require.NoError(t, files.Write(h.Disk(), "file", []byte("1234"), false))
		got, err := files.Read(h.Disk(), "file")
		require.NoError(t, err)
		assert.Equal(t, "1234", string(got))
		f, err := h.Disk().Open("file")
		require.NoError(t, err)
		defer f.Close()
		assert.ErrorIs(t, files.ReadFull(f, make([]byte, 3), 2), io.ErrUnexpectedEOF)
		assert.NoError(t, files.ReadFull(f, nil, 100), "nothing is asked for")
	})
}
