package disk_test

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/sim"
	"github.com/ktrial/ktrial/sim/disk"
	"github.com/ktrial/ktrial/sim/env"
)

// run lets f use the disk of a host called "h" as a process of its own.
func run(t require.TestingT, w *sim.World, f func(h env.Host, d env.Disk)) {
	require.NoError(t, w.RunMain("h", func(h env.Host) { f(h, h.Disk()) }))
	w.Host("h").Kill()
}

func world(t *testing.T, seed uint64) *sim.World {
	w := sim.NewWorld(sim.Config{Seed: seed})
	t.Cleanup(w.Close)
	return w
}

func write(t require.TestingT, d env.Disk, path, text string) env.File {
	f, err := d.Create(path)
	require.NoError(t, err)
	_, err = f.WriteAt([]byte(text), 0)
	require.NoError(t, err)
	return f
}

func read(t require.TestingT, d env.Disk, path string) string {
	f, err := d.Open(path)
	require.NoError(t, err)
	n, err := f.Size()
	require.NoError(t, err)
	b := make([]byte, n)
	_, err = f.ReadAt(b, 0)
	require.NoError(t, err)
	return string(b)
}

func TestNames(t *testing.T) {
	run(t, world(t, 1), func(h env.Host, d env.Disk) {
		_, err := d.Open("a")
		assert.ErrorIs(t, err, env.ErrNotExist)
		_, err = d.Create("dir/a")
		assert.ErrorIs(t, err, env.ErrNotExist)
		require.NoError(t, d.MkdirAll("dir/sub"))
		require.NoError(t, d.MkdirAll("/dir/sub/"))
		write(t, d, "dir/b", "1")
		write(t, d, "dir/a", "22")
		names, err := d.List("dir")
		require.NoError(t, err)
		assert.Equal(t, []string{"a", "b", "sub/"}, names)
		names, err = d.List("")
		require.NoError(t, err)
		assert.Equal(t, []string{"dir/"}, names)
		n, err := d.Stat("dir/a")
		assert.NoError(t, err)
		assert.EqualValues(t, 2, n)
		_, err = d.Stat("dir")
		assert.ErrorIs(t, err, env.ErrNotExist)
		assert.NoError(t, d.Rename("dir/a", "dir/b"))
		assert.Equal(t, "22", read(t, d, "dir/b"))
		assert.ErrorIs(t, d.Remove("dir"), env.ErrExist)
		assert.NoError(t, d.Rename("dir", "moved"))
		assert.Equal(t, "22", read(t, d, "moved/b"))
		assert.NoError(t, d.Remove("moved/sub"))
		assert.NoError(t, d.Remove("moved/b"))
		assert.NoError(t, d.Remove("moved"))
		assert.ErrorIs(t, d.Remove("moved"), env.ErrNotExist)
	})
}

func TestReadAndWriteLikeAFile(t *testing.T) {
	run(t, world(t, 1), func(h env.Host, d env.Disk) {
		f := write(t, d, "f", "hello")
		b := make([]byte, 10)
		n, err := f.ReadAt(b, 3)
		assert.Equal(t, io.EOF, err)
		assert.Equal(t, "lo", string(b[:n]))
		_, err = f.WriteAt([]byte("far"), 200_000)
		require.NoError(t, err)
		n, err = f.ReadAt(b, 100_000)
		assert.NoError(t, err)
		assert.Equal(t, make([]byte, 10), b[:n])
		require.NoError(t, f.Truncate(2))
		require.NoError(t, f.Truncate(4))
		assert.Equal(t, "he\x00\x00", read(t, d, "f"))
		require.NoError(t, f.Close())
		_, err = f.WriteAt(b, 0)
		assert.ErrorIs(t, err, env.ErrClosed)
		write(t, d, "f", "")
		assert.Equal(t, "", read(t, d, "f"), "create empties")
	})
}

func TestKillKeepsThePageCache(t *testing.T) {
	w := world(t, 1)
	run(t, w, func(h env.Host, d env.Disk) { write(t, d, "f", "unsynced") })
	run(t, w, func(h env.Host, d env.Disk) { assert.Equal(t, "unsynced", read(t, d, "f")) })
}

func TestSyncedSurvivesPowerOff(t *testing.T) {
	for seed := range uint64(200) {
		w := world(t, seed)
		run(t, w, func(h env.Host, d env.Disk) {
			require.NoError(t, d.MkdirAll("dir"))
			f := write(t, d, "dir/f", "synced")
			require.NoError(t, f.Sync())
			require.NoError(t, d.SyncDir("dir"))
			require.NoError(t, d.SyncDir(""))
			f.WriteAt([]byte(" and not"), 6)
			write(t, d, "dir/g", "never")
		})
		w.Host("h").PowerOff()
		run(t, w, func(h env.Host, d env.Disk) {
			assert.Equal(t, "synced", read(t, d, "dir/f")[:6])
		})
		w.Close()
	}
}

// Over many seeds a power cut does everything that it may do.
func TestPowerOffShowsEveryOutcome(t *testing.T) {
	outcomes := map[string]int{}
	for seed := range uint64(300) {
		w := world(t, seed)
		run(t, w, func(h env.Host, d env.Disk) {
			f := write(t, d, "f", "")
			require.NoError(t, d.SyncDir(""))
			f.WriteAt(bytes.Repeat([]byte("a"), 100), 0)
			f.WriteAt(bytes.Repeat([]byte("b"), 2000), 100)
			write(t, d, "new", "x")
			require.NoError(t, d.Rename("new", "renamed"))
		})
		w.Host("h").PowerOff()
		run(t, w, func(h env.Host, d env.Disk) {
			s := read(t, d, "f")
			switch {
			case s == "":
				outcomes["all lost"]++
			case len(s) == 2100 && s[0] == 'a':
				outcomes["all kept"]++
			case len(s) == 2100 && s[0] == 0:
				outcomes["hole"]++
			case len(s) == 100:
				outcomes["prefix"]++
			default:
				assert.Zero(t, len(s)%disk.Sector, "torn at %d", len(s))
				outcomes["torn"]++
			}
			names, err := d.List("")
			require.NoError(t, err)
			outcomes[fmt.Sprint(names)]++
		})
		w.Close()
	}
	for _, o := range []string{"all lost", "all kept", "hole", "prefix", "torn", "[f]", "[f new]", "[f renamed]"} {
		assert.Positive(t, outcomes[o], o)
	}
	t.Log(outcomes)
}

// Replacing a file by rename without syncing the new one first may leave an
// empty file under the old name: the classic mistake must be possible here.
func TestRenameBeforeSyncMayLeaveAnEmptyFile(t *testing.T) {
	seen := map[string]int{}
	for seed := range uint64(200) {
		w := world(t, seed)
		run(t, w, func(h env.Host, d env.Disk) {
			require.NoError(t, write(t, d, "checkpoint", "old").Sync())
			require.NoError(t, d.SyncDir(""))
			write(t, d, "checkpoint.tmp", "new")
			require.NoError(t, d.Rename("checkpoint.tmp", "checkpoint"))
		})
		w.Host("h").PowerOff()
		run(t, w, func(h env.Host, d env.Disk) { seen[read(t, d, "checkpoint")]++ })
		w.Close()
	}
	assert.Positive(t, seen["old"])
	assert.Positive(t, seen["new"])
	assert.Positive(t, seen[""])
	assert.Len(t, seen, 3)
}

func TestSyncDirTakesAlongWhatARenameRestsUpon(t *testing.T) {
	for seed := range uint64(50) {
		w := world(t, seed)
		run(t, w, func(h env.Host, d env.Disk) {
			require.NoError(t, d.MkdirAll("a"))
			require.NoError(t, d.MkdirAll("b"))
			require.NoError(t, d.SyncDir(""))
			require.NoError(t, write(t, d, "a/f", "x").Sync())
			require.NoError(t, d.Rename("a/f", "b/f"))
			require.NoError(t, d.SyncDir("b"))
		})
		w.Host("h").PowerOff()
		assert.Equal(t, []string{"b/f"}, w.Host("h").Disk().Files())
		w.Close()
	}
}

func TestOldWritesAreWrittenBack(t *testing.T) {
	for seed := range uint64(50) {
		w := world(t, seed)
		run(t, w, func(h env.Host, d env.Disk) {
			f := write(t, d, "f", "old")
			h.Sleep(time.Minute)
			f.WriteAt([]byte("new"), 3)
		})
		w.Host("h").PowerOff()
		run(t, w, func(h env.Host, d env.Disk) { assert.Equal(t, "old", read(t, d, "f")[:3]) })
		w.Close()
	}
}

// What is written while a sync is under way is not part of it.
func TestASyncCoversOnlyWhatCameBefore(t *testing.T) {
	lost := 0
	for seed := range uint64(50) {
		w := world(t, seed)
		run(t, w, func(h env.Host, d env.Disk) {
			f := write(t, d, "f", "before")
			require.NoError(t, d.SyncDir(""))
			h.Go("writer", func() { f.WriteAt([]byte(" during"), 6) })
			require.NoError(t, f.Sync())
			assert.Equal(t, "before during", read(t, d, "f"))
		})
		w.Host("h").PowerOff()
		run(t, w, func(h env.Host, d env.Disk) {
			s := read(t, d, "f")
			require.Equal(t, "before", s[:6])
			if s == "before" {
				lost++
			}
		})
		w.Close()
	}
	assert.Positive(t, lost)
}

func TestFailedSyncIsNotTriedAgain(t *testing.T) {
	lost := 0
	for seed := range uint64(50) {
		w := world(t, seed)
		d := w.Host("h").Disk()
		run(t, w, func(h env.Host, _ env.Disk) {
			f := write(t, h.Disk(), "f", "durable?")
			require.NoError(t, h.Disk().SyncDir(""))
			rule := &disk.Rule{Op: disk.OpSync, Path: "f", Err: env.ErrIO, Count: 1}
			d.Add(rule)
			assert.ErrorIs(t, f.Sync(), env.ErrIO)
			assert.NoError(t, f.Sync(), "the pages are clean: nothing is left to fail")
			assert.Equal(t, 1, rule.Struck())
			assert.Equal(t, "durable?", read(t, h.Disk(), "f"), "the cache still has it")
		})
		w.Host("h").PowerOff()
		b, err := d.Contents("f")
		require.NoError(t, err)
		if string(b) != "durable?" {
			lost++
			require.Len(t, d.Damage(), 1)
			assert.Equal(t, disk.Failed, d.Damage()[0].Why)
			p, err := d.Pristine("f")
			require.NoError(t, err)
			assert.Equal(t, "durable?", string(p))
		}
		w.Close()
	}
	assert.Positive(t, lost)
	assert.Less(t, lost, 50)
}

func TestLyingSync(t *testing.T) {
	lost := 0
	for seed := range uint64(50) {
		w := world(t, seed)
		d := w.Host("h").Disk()
		var told []ledger.Event
		d.Tell = func(e ledger.Event) { told = append(told, e) }
		run(t, w, func(h env.Host, _ env.Disk) {
			f := write(t, h.Disk(), "f", "")
			require.NoError(t, h.Disk().SyncDir(""))
			f.WriteAt([]byte("promised"), 0)
			d.Add(&disk.Rule{Op: disk.OpSync, Flaw: disk.Lie})
			assert.NoError(t, f.Sync())
		})
		w.Host("h").PowerOff()
		b, err := d.Contents("f")
		require.NoError(t, err)
		if string(b) == "" {
			lost++
			require.Len(t, d.Damage(), 1)
			assert.Equal(t, disk.Lie, d.Damage()[0].Why)
			assert.Equal(t, []ledger.Event{&disk.Damaged{Path: "f", N: int64(len("promised")), Why: disk.Lie.String()}}, told)
			p, err := d.Pristine("f")
			require.NoError(t, err)
			assert.Equal(t, "promised", string(p))
		}
		w.Close()
	}
	assert.Positive(t, lost)
}

func TestLostAndMisdirectedWrites(t *testing.T) {
	for _, flaw := range []disk.Flaw{disk.Lose, disk.Misdirect} {
		t.Run(flaw.String(), func(t *testing.T) {
			w := world(t, 2)
			d := w.Host("h").Disk()
			want := ""
			run(t, w, func(h env.Host, _ env.Disk) {
				f := write(t, h.Disk(), "f", "")
				require.NoError(t, h.Disk().SyncDir(""))
				for i := range 8 {
					line := string(bytes.Repeat([]byte{byte('a' + i)}, disk.Sector))
					f.WriteAt([]byte(line), int64(len(want)))
					want += line
				}
				d.Add(&disk.Rule{Op: disk.OpSync, Flaw: flaw, Count: 1})
				assert.NoError(t, f.Sync())
				assert.Equal(t, want, read(t, h.Disk(), "f"), "the cache hides it")
			})
			w.Host("h").PowerOff()
			b, err := d.Contents("f")
			require.NoError(t, err)
			assert.NotEqual(t, want, string(b))
			assert.Len(t, b, len(want))
			p, err := d.Pristine("f")
			require.NoError(t, err)
			assert.Equal(t, want, string(p))
			for _, x := range d.Damage() {
				assert.Equal(t, flaw, x.Why)
			}
			run(t, w, func(h env.Host, v env.Disk) {
				f, err := v.Open("f")
				require.NoError(t, err)
				f.WriteAt([]byte(want), 0)
			})
			assert.Empty(t, d.Damage(), "written over")
		})
	}
}

func TestRot(t *testing.T) {
	w := world(t, 1)
	d := w.Host("h").Disk()
	text := string(bytes.Repeat([]byte("fine "), 1000))
	run(t, w, func(h env.Host, v env.Disk) {
		write(t, v, "f", text)
		require.NoError(t, d.Rot("f", 3))
		assert.NotEqual(t, text, read(t, v, "f"))
	})
	p, err := d.Pristine("f")
	require.NoError(t, err)
	assert.Equal(t, text, string(p))
	assert.Len(t, d.Damage(), 3)
	assert.ErrorIs(t, d.Rot("none", 1), env.ErrNotExist)
}

func TestNoSpace(t *testing.T) {
	w := world(t, 1)
	d := w.Host("h").Disk()
	d.SetCapacity(1000)
	run(t, w, func(h env.Host, v env.Disk) {
		f := write(t, v, "f", string(make([]byte, 900)))
		_, err := f.WriteAt(make([]byte, 200), 850)
		assert.ErrorIs(t, err, env.ErrNoSpace)
		n, _ := f.Size()
		assert.EqualValues(t, 900, n)
		_, err = f.WriteAt(make([]byte, 100), 900)
		assert.NoError(t, err)
		_, err = v.Create("g")
		assert.ErrorIs(t, err, env.ErrNoSpace)
		assert.ErrorIs(t, f.Truncate(2000), env.ErrNoSpace)
		require.NoError(t, v.Remove("f"))
		assert.Zero(t, d.Used())
		write(t, v, "g", "room again")
	})
}

func TestErrorsDelaysAndPatterns(t *testing.T) {
	w := world(t, 1)
	d := w.Host("h").Disk()
	run(t, w, func(h env.Host, v env.Disk) {
		require.NoError(t, v.MkdirAll("orders-0"))
		log := write(t, v, "orders-0/00.log", "x")
		index := write(t, v, "orders-0/00.index", "x")
		eio := &disk.Rule{Op: disk.OpRead, Path: "*.log", Err: env.ErrIO}
		d.Add(eio)
		_, err := log.ReadAt(make([]byte, 1), 0)
		assert.ErrorIs(t, err, env.ErrIO)
		_, err = index.ReadAt(make([]byte, 1), 0)
		assert.NoError(t, err)
		d.Remove(eio)
		_, err = log.ReadAt(make([]byte, 1), 0)
		assert.NoError(t, err)

		d.Add(&disk.Rule{Path: "orders-0/*", Delay: time.Second})
		start := h.Uptime()
		for range 10 {
			_, err = log.ReadAt(make([]byte, 1), 0)
			assert.NoError(t, err)
		}
		assert.Greater(t, h.Uptime()-start, 2*time.Second)
		d.Mend()
		start = h.Uptime()
		log.ReadAt(make([]byte, 1), 0)
		assert.Equal(t, start, h.Uptime())
	})
}

func TestSyncTakesTime(t *testing.T) {
	run(t, world(t, 1), func(h env.Host, d env.Disk) {
		f := write(t, d, "f", "x")
		start := h.Uptime()
		require.NoError(t, f.Sync())
		assert.GreaterOrEqual(t, h.Uptime()-start, disk.SSD().Sync)
	})
}

func TestWipe(t *testing.T) {
	w := world(t, 1)
	run(t, w, func(h env.Host, d env.Disk) { write(t, d, "f", "x").Sync() })
	w.Host("h").Disk().Wipe()
	assert.Empty(t, w.Host("h").Disk().Files())
	w.Host("h").PowerOff()
	assert.Empty(t, w.Host("h").Disk().Files())
}

// A log that syncs now and then: after a power cut each file holds at least
// what was synced, and each byte beyond is one that was written there once, or
// a hole.
func TestPowerOffTakesOnlyWhatItMay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := sim.NewWorld(sim.Config{Seed: rapid.Uint64().Draw(t, "seed")})
		defer w.Close()
		type step struct {
			what    string
			off, n  int
			content byte
		}
		steps := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) step {
			return step{
				rapid.SampledFrom([]string{"append", "append", "append", "overwrite", "truncate", "sync"}).Draw(t, "what"),
				rapid.IntRange(0, 3000).Draw(t, "off"), rapid.IntRange(1, 1500).Draw(t, "n"), rapid.Byte().Draw(t, "content"),
			}
		}), 1, 30).Draw(t, "steps")
		var now, durable []byte
		var ever []map[byte]bool // what each byte may be
		possible := func(off int, p []byte) {
			for len(ever) < off+len(p) {
				ever = append(ever, map[byte]bool{0: true})
			}
			for i, b := range p {
				ever[off+i][b] = true
			}
		}
		short := -1 // the shortest that a truncate since the sync may have left
		run(t, w, func(h env.Host, d env.Disk) {
			f := write(t, d, "f", "")
			require.NoError(t, d.SyncDir(""))
			for _, s := range steps {
				switch s.what {
				case "append", "overwrite":
					off := len(now)
					if s.what == "overwrite" {
						off = min(s.off, off)
					}
					p := bytes.Repeat([]byte{s.content}, s.n)
					_, err := f.WriteAt(p, int64(off))
					require.NoError(t, err)
					possible(off, p)
					now = append(now[:off], append(p, now[min(len(now), off+s.n):]...)...)
				case "truncate":
					n := min(s.off, len(now))
					require.NoError(t, f.Truncate(int64(n)))
					now = now[:n]
					if short < 0 || n < short {
						short = n
					}
				case "sync":
					require.NoError(t, f.Sync())
					durable, short, ever = slices.Clone(now), -1, nil
					possible(0, durable)
					for i := range durable {
						delete(ever[i], 0)
						ever[i][durable[i]] = true
					}
				}
				assert.Equal(t, string(now), read(t, d, "f"))
			}
		})
		w.Host("h").PowerOff()
		got, err := w.Host("h").Disk().Contents("f")
		require.NoError(t, err)
		least := len(durable)
		if short >= 0 {
			least = min(least, short)
		}
		if len(got) < least {
			t.Fatalf("%d bytes are left, at least %d were durable", len(got), least)
		}
		for i, b := range got {
			if i >= len(ever) || !ever[i][b] && !(short >= 0 && b == 0) {
				t.Fatalf("byte %d is %d, which was never written there", i, b)
			}
		}
	})
}

// With nothing but lucky syncs, any number of power cuts loses nothing.
func TestSyncedAlwaysSurvives(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := sim.NewWorld(sim.Config{Seed: rapid.Uint64().Draw(t, "seed")})
		defer w.Close()
		want := map[string]string{}
		rounds := rapid.IntRange(1, 5).Draw(t, "rounds")
		names := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "c"}), rounds, rounds).Draw(t, "names")
		for i, name := range names {
			run(t, w, func(h env.Host, d env.Disk) {
				for name, text := range want {
					require.Equal(t, text, read(t, d, name))
				}
				f := write(t, d, name+".tmp", fmt.Sprint("round ", i))
				require.NoError(t, f.Sync())
				require.NoError(t, d.Rename(name+".tmp", name))
				require.NoError(t, d.SyncDir(""))
				want[name] = fmt.Sprint("round ", i)
				write(t, d, name+".tmp", "noise")
			})
			w.Host("h").PowerOff()
		}
		for name, text := range want {
			b, err := w.Host("h").Disk().Contents(name)
			require.NoError(t, err)
			require.Equal(t, text, string(b))
		}
	})
}

func BenchmarkAppend(b *testing.B) {
	w := sim.NewWorld(sim.Config{Seed: 1})
	defer w.Close()
	b.ReportAllocs()
	p := make([]byte, 1024)
	b.SetBytes(int64(len(p)))
	w.RunMain("h", func(h env.Host) {
		f, _ := h.Disk().Create("log")
		off := int64(0)
		for range b.N {
			f.WriteAt(p, off)
			off += int64(len(p))
			if off > 16<<20 {
				f.Truncate(0)
				off = 0
			}
		}
	})
}

func BenchmarkRead(b *testing.B) {
	w := sim.NewWorld(sim.Config{Seed: 1})
	defer w.Close()
	b.ReportAllocs()
	p := make([]byte, 1024)
	b.SetBytes(int64(len(p)))
	w.RunMain("h", func(h env.Host) {
		f, _ := h.Disk().Create("log")
		f.WriteAt(make([]byte, 1<<20), 0)
		for i := range b.N {
			f.ReadAt(p, int64(i&1023)<<10)
		}
	})
}

// Unwinding must give back exactly what was, however often it is done: a failed
// sync looks at what is durable and goes on.
func TestLookingAtTheDiskChangesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := sim.NewWorld(sim.Config{Seed: rapid.Uint64().Draw(t, "seed")})
		defer w.Close()
		type step struct {
			what    string
			off     int64
			n       int
			content byte
		}
		steps := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) step {
			return step{
				rapid.SampledFrom([]string{"write", "write", "truncate", "fail", "sync"}).Draw(t, "what"),
				rapid.Int64Range(0, 200_000).Draw(t, "off"), rapid.IntRange(1, 100_000).Draw(t, "n"), rapid.Byte().Draw(t, "content"),
			}
		}), 1, 20).Draw(t, "steps")
		d := w.Host("h").Disk()
		run(t, w, func(h env.Host, v env.Disk) {
			f := write(t, v, "f", "")
			var want []byte
			grow := func(n int64) {
				if n > int64(len(want)) {
					want = append(want, make([]byte, n-int64(len(want)))...)
				}
			}
			for _, s := range steps {
				switch s.what {
				case "write":
					p := bytes.Repeat([]byte{s.content}, s.n)
					f.WriteAt(p, s.off)
					grow(s.off + int64(s.n))
					copy(want[s.off:], p)
				case "truncate":
					f.Truncate(s.off)
					grow(s.off)
					want = want[:s.off]
				case "fail":
					rule := &disk.Rule{Op: disk.OpSync, Flaw: disk.Lose}
					d.Add(rule)
					f.Sync()
					d.Remove(rule)
				case "sync":
					f.Sync()
				}
				if got := read(t, v, "f"); got != string(want) {
					t.Fatalf("after %v the file is not what was written", s.what)
				}
			}
		})
	})
}
