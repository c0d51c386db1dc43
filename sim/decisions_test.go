package sim_test

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ktrial/ktrial/sim"
	"github.com/ktrial/ktrial/sim/env"
)

// edit is what a later build of the program does otherwise.
type edit struct {
	draw  bool // the clerk draws once more before it works
	task  bool // the clerk has one more task, which is ready when others are
	yield bool // and asks a site that was not there
}

// office plays two processes that do what luck says, with a clerk that was edited, and says
// what each has done.
func office(cfg sim.Config, e edit) (*sim.World, []string) {
	var done []string
	w := sim.NewWorld(cfg)
	work := func(h env.Host) {
		for i := range 20 {
			wait := time.Duration(h.Rand().Int64N(int64(time.Second)))
			h.Sleep(wait)
			h.Yield("between two letters")
			done = append(done, fmt.Sprintf("%s %d %v %v", h.Name(), i, wait, h.Unlucky("a letter is lost")))
		}
	}
	w.Host("clerk").Start(func(h env.Host) {
		if e.draw {
			h.Rand().Uint64()
		}
		if e.yield {
			h.Yield("before the first letter")
		}
		if e.task {
			h.Go("tea", func() { h.Sleep(time.Millisecond) })
		}
		work(h)
	})
	w.Host("porter").Start(func(h env.Host) { work(h) })
	if err := w.Run(time.Minute); err != nil {
		panic(err)
	}
	return w, done
}

// A run that follows another decides alike by name, whatever else the program does now; one
// that plays the same seed does not.
func TestDecisionsSurviveAnEdit(t *testing.T) {
	const seed = 11
	w, before := office(sim.Config{Seed: seed, Record: true}, edit{})
	recorded := w.Decisions().Recorded()
	for name, e := range map[string]edit{
		"one more draw": {draw: true}, "one more task": {task: true}, "one more site": {yield: true}, "all of it": {true, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			if e.draw {
				_, other := office(sim.Config{Seed: seed}, e)
				assert.NotEqual(t, before, other, "the edit has no effect")
			}
			w, after := office(sim.Config{Seed: seed, Follow: recorded}, e)
			assert.Equal(t, before, after)
			asked, matched, first := w.Decisions().Followed()
			if e.draw || e.yield {
				assert.Greater(t, asked, matched)
				require.NotNil(t, first)
				assert.Regexp(t, "clerk|first letter", first.Name)
			}
		})
	}
}

// Decisions do not change the run in which they are kept, nor the one that follows them.
func TestDecisionsChangeNothing(t *testing.T) {
	plain, _ := office(sim.Config{Seed: 3}, edit{})
	kept, _ := office(sim.Config{Seed: 3, Record: true}, edit{})
	followed, _ := office(sim.Config{Seed: 3, Follow: kept.Decisions().Recorded()}, edit{})
	assert.Equal(t, plain.Hash(), kept.Hash())
	assert.Equal(t, plain.Hash(), followed.Hash())
	asked, matched, first := followed.Decisions().Followed()
	assert.Equal(t, asked, matched)
	assert.Nil(t, first)
	assert.Equal(t, kept.Decisions().Recorded().Count(), asked)
	assert.Nil(t, plain.Decisions())
}

// The decisions go before the seed: with those of another seed a run is that one.
func TestDecisionsGoBeforeTheSeed(t *testing.T) {
	w, before := office(sim.Config{Seed: 3, Record: true}, edit{})
	_, other := office(sim.Config{Seed: 4}, edit{})
	require.NotEqual(t, before, other)
	_, after := office(sim.Config{Seed: 4, Follow: w.Decisions().Recorded()}, edit{})
	assert.Equal(t, before, after)
}

func TestDecisionsAreReadAsTheyWereWritten(t *testing.T) {
	w, _ := office(sim.Config{Seed: 3, Record: true}, edit{})
	w.Decisions().Text("plan", "at 1s: rest")
	recorded := w.Decisions().Recorded()
	var file bytes.Buffer
	require.NoError(t, recorded.Write(&file))
	whole := file.Bytes()
	read, err := sim.ReadRecorded(bytes.NewReader(whole))
	require.NoError(t, err)
	assert.Equal(t, recorded, read)

	for name, text := range map[string][]byte{
		"another format": append([]byte("ktrial-decisions/9\n"), whole[19:]...), "cut off": whole[:len(whole)-3], "nothing": nil,
		"a length beyond all": append(append([]byte{}, whole[:20]...), 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01),
	} {
		_, err := sim.ReadRecorded(bytes.NewReader(text))
		assert.Error(t, err, name)
	}
}
