package broker_test

import (
	"bytes"
	"fmt"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ktrial/ktrial/broker/server"
	clusters "github.com/ktrial/ktrial/scenarios/cluster"
	"github.com/ktrial/ktrial/sim/env"
)

// damages are what may become of a file while its node is down.
var damages = []struct {
	name string
	of   func(sound []byte) []byte
}{
	{"empty", func([]byte) []byte { return []byte{} }},
	{"half", func(sound []byte) []byte { return sound[:len(sound)/2] }},
	{"a flipped bit", func(sound []byte) []byte { return flip(sound, len(sound)/3) }},
	{"another flipped bit", func(sound []byte) []byte { return flip(sound, len(sound)-2) }},
	{"garbage", func(sound []byte) []byte { return bytes.Repeat([]byte{0xfe, 0xed}, len(sound)/2+3) }},
	{"zeros", func(sound []byte) []byte { return make([]byte, len(sound)) }},
	{"gone", func([]byte) []byte { return nil }},
}

func flip(sound []byte, at int) []byte {
	out := slices.Clone(sound)
	if at >= 0 && at < len(out) {
		out[at] ^= 1 << (at % 8)
	}
	return out
}

// Whatever file is damaged, in whatever way: the node starts all the same, or
// says which file it cannot use and has changed none. It never panics.
func TestDamagedFilesAreNoticed(t *testing.T) {
	skipIfShort(t)
	for _, clean := range []bool{true, false} {
		for i, file := range stopped(t, clean).w.Host("node-1").Disk().Files() {
			for j, damage := range damages {
				if !*long && (i+j)%3 > 0 {
					continue
				}
				t.Run(fmt.Sprintf("clean %v/%s/%s", clean, file, damage.name), func(t *testing.T) {
					startDamaged(t, stopped(t, clean), file, damage.of)
				})
			}
		}
	}
}

// stopped is a node with some records, a snapshot and two segments, that has
// ended in order or been killed.
func stopped(t *testing.T, clean bool) *cluster {
	c := newCluster(t, 1, clusters.Shape{Combined: 1, Config: map[string]string{
		"log.segment.bytes": "300", "metadata.log.max.record.bytes.between.snapshots": "1000",
	}})
	c.client(func(u *user) {
		u.running(1)
		u.createTopic(1, "orders", 1, 1)
		for i := range 12 {
			u.publish(1, "orders", 0, fmt.Sprint("v", i))
		}
		u.h.Sleep(time.Second)
		host, done := c.w.Host("node-1"), !clean
		if clean {
			host.Process().Go("stop", func() {
				require.NoError(t, c.node(1).Shutdown())
				done = true
			})
		}
		u.eventually(10*time.Second, "stopped", func() bool { return done })
		host.Kill()
	})
	return c
}

func startDamaged(t *testing.T, c *cluster, file string, damage func([]byte) []byte) {
	host := c.w.Host("node-1")
	host.Start(func(h env.Host) { overwriteFile(t, h.Disk(), file, damage) })
	damaged := map[string][]byte{}
	c.client(func(u *user) {
		u.h.Sleep(time.Second)
		host.Kill()
		for _, f := range host.Disk().Files() {
			damaged[f], _ = host.Disk().Contents(f)
		}
		c.restart(1)
		for range 300 {
			u.h.Sleep(100 * time.Millisecond)
			if n := c.node(1); host.ExitError() != nil || n != nil && n.Lifecycle.State() == server.Running {
				break
			}
		}
		failed := host.ExitError()
		switch {
		case failed != nil && strings.HasPrefix(failed.Error(), "broker: start node 1:"):
			assert.Contains(t, strings.ReplaceAll(failed.Error(), "orders/0", "orders-0"), path.Base(file), "the error names what is damaged")
			for f, was := range damaged {
				is, _ := host.Disk().Contents(f)
				if strings.HasSuffix(f, "index") { // they are given room
					was, is = bytes.TrimRight(was, "\x00"), bytes.TrimRight(is, "\x00")
				}
				// As in Kafka the mark counts for one start (KAFKA-10471).
				assert.True(t, bytes.Equal(was, is) || path.Base(f) == ".kafka_cleanshutdown", "%s was changed", f)
			}
		case failed != nil:
			t.Logf("exited: %v", failed)
		case c.node(1) == nil || c.node(1).Lifecycle.State() != server.Running:
			t.Errorf("does not run, and does not say why")
		case c.node(1).Image().Topic("orders") != nil:
			u.publish(1, "orders", 0, "one more")
		default:
			// The only voter has lost what it knew. The records are still there.
			u.createTopic(1, "orders", 1, 1)
			u.publish(1, "orders", 0, "the first")
			assert.True(t, slices.ContainsFunc(host.Disk().Files(), func(f string) bool {
				return strings.HasPrefix(f, "kafka/orders-0.") && strings.HasSuffix(f, "-stray/00000000000000000000.log")
			}), "%v", host.Disk().Files())
		}
	})
}

func overwriteFile(t testing.TB, disk env.Disk, file string, damage func([]byte) []byte) {
	f, err := disk.Open(file)
	require.NoError(t, err)
	size, err := f.Size()
	require.NoError(t, err)
	sound := make([]byte, size)
	_, _ = f.ReadAt(sound, 0)
	bad := damage(sound)
	f.Close()
	require.NoError(t, disk.Remove(file))
	if bad != nil {
		f, err = disk.Create(file)
		require.NoError(t, err)
		_, err = f.WriteAt(bad, 0)
		require.NoError(t, err)
		require.NoError(t, f.Sync())
	}
	require.NoError(t, disk.SyncDir(path.Dir(file)))
}
