package ktrial

import (
	crand "crypto/rand"
	"fmt"
	"hash/maphash"
	"maps"
	"math/rand/v2"
	"reflect"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/sim"
	"github.com/ktrial/ktrial/sim/env"
)

// machine is what a process might get hold of although it should not: things
// that live longer than its world, as in some library.
type machine struct {
	worlds int
	clock  func() time.Time
	pool   sync.Pool
	kept   []any // so that no address is used twice
}

// tabled is a map with many keys.
func tabled() map[int]int {
	m := map[int]int{}
	for i := range 200 {
		m[i] = i
	}
	return m
}

// leaksAtRun are ways for something else than the seed to decide what a process
// does. The first lines are in the source for all to see (leaks_test.go finds
// them); the others come through a library, an interface or an innocent verb,
// and only playing the run twice can tell.
var leaksAtRun = map[string]func(h env.Host, o *machine){
	"wall clock":  func(h env.Host, o *machine) { h.Sleep(time.Duration(time.Now().UnixNano() % 1_000_003)) },
	"global rand": func(h env.Host, o *machine) { h.Sleep(time.Duration(rand.IntN(1_000_000))) },
	"crypto rand": func(h env.Host, o *machine) { h.Tell(ledger.Say("my id is %s", crand.Text())) },
	"map order": func(h env.Host, o *machine) {
		h.Tell(ledger.Say("first come %v", eight(func() int { return first(maps.Keys(tabled())) })))
	},
	"select":      func(h env.Host, o *machine) { h.Tell(ledger.Say("chose %v", choices())) },
	"goroutine":   func(h env.Host, o *machine) { h.Sleep(time.Duration(race())) },
	"pointer, %p": func(h env.Host, o *machine) { h.Tell(ledger.Say("conn %p", o.keep(new([64]byte)))) },
	"memory":      func(h env.Host, o *machine) { h.Tell(ledger.Say("%d bytes", memory())) },
	"hash seed": func(h env.Host, o *machine) {
		h.Tell(ledger.Say("bucket %d", maphash.String(maphash.MakeSeed(), "orders")))
	},
	"shared state":  func(h env.Host, o *machine) { o.worlds++; h.Sleep(time.Duration(o.worlds)) },
	"borrowed time": func(h env.Host, o *machine) { h.Sleep(time.Duration(o.clock().UnixNano() % 1_000_003)) },
	"pointer inside a struct, %v": func(h env.Host, o *machine) {
		h.Tell(ledger.Say("retry %v", struct{ next *[64]byte }{o.keep(new([64]byte))}))
	},
	"order of addresses": func(h env.Host, o *machine) { h.Tell(ledger.Say("locked in order %v", o.byAddress())) },
	"map order by reflection": func(h env.Host, o *machine) {
		h.Tell(ledger.Say("first come %v", eight(func() int { return int(reflect.ValueOf(tabled()).MapKeys()[0].Int()) })))
	},
	"used object out of a pool": func(h env.Host, o *machine) {
		buf, _ := o.pool.Get().(*[]int)
		if buf == nil {
			buf = &[]int{}
		}
		*buf = append(*buf, 1)
		writeFile(h, fmt.Sprintf("buffer-%d", len(*buf)))
		o.kept = append(o.kept, buf) // a pool of one that is never emptied
		o.pool = sync.Pool{New: func() any { return buf }}
	},
}

// eight asks eight times: once in some hundred times two maps begin with the same key.
func eight(ask func() int) (all []int) {
	for range 8 {
		all = append(all, ask())
	}
	return all
}

func first(keys func(func(int) bool)) int {
	for k := range keys {
		return k
	}
	panic("no keys")
}

func choices() (all []bool) {
	a, b := make(chan bool, 64), make(chan bool, 64)
	for range 64 {
		a <- true
		b <- false
	}
	for range 64 {
		select {
		case x := <-a:
			all = append(all, x)
		case x := <-b:
			all = append(all, x)
		}
	}
	return all
}

// race is how often a goroutine has counted by the time that another looks.
func race() int64 {
	var n atomic.Int64
	var stop atomic.Bool
	go func() {
		for !stop.Load() {
			n.Add(1)
		}
	}()
	for n.Load() < 100 {
		runtime.Gosched()
	}
	stop.Store(true)
	return n.Load() + time.Now().UnixNano()%7
}

func memory() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}

func (o *machine) keep(p *[64]byte) *[64]byte {
	o.kept = append(o.kept, p)
	return p
}

func (o *machine) byAddress() (order []int) {
	at := map[uintptr]int{}
	for i := range 64 {
		p := make([]byte, 1<<rand.IntN(12)) // stands for what else uses the heap
		o.kept = append(o.kept, p)
		at[uintptr(unsafe.Pointer(unsafe.SliceData(p)))] = i
	}
	for _, p := range slices.Sorted(maps.Keys(at)) {
		order = append(order, at[p])
	}
	return order
}

func writeFile(h env.Host, name string) {
	f, err := h.Disk().Create(name)
	if err == nil {
		_, err = f.WriteAt([]byte("x"), 0)
	}
	if err == nil {
		err = f.Sync()
	}
	if err != nil {
		h.Exit(err)
	}
}

// Whatever leaks into a process, playing the run twice notices it, and names
// the process, the time, and what it did in each run.
func TestDeterminism_PlantedLeaksAreNamed(t *testing.T) {
	require.GreaterOrEqual(t, len(leaksAtRun), 12)
	for name, leak := range leaksAtRun {
		t.Run(name, func(t *testing.T) {
			o := &machine{clock: time.Now}
			d := sim.Difference(func(tr *sim.Tracing) *sim.World { return leakyWorld(t, tr, func(h env.Host) { leak(h, o) }) })
			require.NotNil(t, d, "the leak was not noticed")
			t.Log(d)
			assert.Regexp(t, `^1(\.0\d*)?s `, d.First, "the step is that of the leak")
			assert.Regexp(t, `^1(\.0\d*)?s `, d.Second)
			assert.Contains(t, d.First+d.Second, "s broker-2: ", "and it names the process")
			assert.NotEqual(t, d.First, d.Second)
		})
	}
	t.Run("none", func(t *testing.T) {
		assert.Nil(t, sim.Difference(func(tr *sim.Tracing) *sim.World {
			return leakyWorld(t, tr, func(h env.Host) { h.Sleep(time.Millisecond) })
		}))
	})
}

// leakyWorld has a few processes that talk, in one of which leak is called
// after a second.
func leakyWorld(t *testing.T, tr *sim.Tracing, leak func(env.Host)) *sim.World {
	w := sim.NewWorld(sim.Config{Seed: 1, Tracing: tr, Steady: true})
	defer w.Close()
	for _, name := range []string{"broker-1", "broker-2", "broker-3"} {
		w.Host(name).Start(func(h env.Host) {
			h.Go("chatter", func() {
				for {
					h.Sleep(time.Duration(h.Rand().Int64N(int64(time.Millisecond))))
				}
			})
			h.Sleep(time.Second)
			if name == "broker-2" {
				leak(h)
			}
			for {
				h.Sleep(time.Millisecond)
			}
		})
	}
	assert.NoError(t, w.Run(1500*time.Millisecond))
	return w
}
