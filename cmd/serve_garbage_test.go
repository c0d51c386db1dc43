//go:build unix

package cmd

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// framed is a request with its size.
func framed(key, version int16, body ...byte) []byte {
	b := binary.BigEndian.AppendUint16(nil, uint16(key))
	b = binary.BigEndian.AppendUint16(b, uint16(version))
	b = append(b, 0, 0, 0, 7, 0xff, 0xff) // correlation id 7, no client id
	b = append(b, body...)
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(b))), b...)
}

// size is a frame that says how long it is, and then is not.
func size(n uint32, rest ...byte) []byte {
	return append(binary.BigEndian.AppendUint32(nil, n), rest...)
}

func (s *serving) dial(broker int) net.Conn {
	c, err := net.Dial("tcp", s.addrs[broker%len(s.addrs)])
	require.NoError(s.t, err)
	return c
}

// isClosed says whether the broker closes a connection without an answer.
func isClosed(c net.Conn) bool {
	c.SetReadDeadline(time.Now().Add(20 * time.Second))
	n, err := c.Read(make([]byte, 1))
	timeout, ok := err.(net.Error)
	return n == 0 && err != nil && !(ok && timeout.Timeout())
}

// Nothing that an unknown client sends takes the cluster down.
func TestServe_OutlivesGarbage(t *testing.T) {
	skipIfShort(t)
	t.Parallel()
	s := startServing(t, t.TempDir(), "--set", "socket.request.max.bytes=1000000")
	s.createTopic("source")
	lines := goSource(t)[:999]
	s.produce("source", lines)

	for name, bytes := range map[string][]byte{
		"a negative size":                 size(1<<31, 1, 2, 3),
		"a size that is too large":        size(1_000_001, 0, 3),
		"another protocol":                []byte("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
		"TLS":                             {0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3},
		"a frame without a header":        size(3, 0, 3, 0),
		"an empty frame":                  size(0),
		"an unknown key":                  framed(999, 0),
		"a negative key":                  framed(-1, 0),
		"a version that is too new":       framed(3, 99),
		"a negative version":              framed(3, -1),
		"a request of groups, not served": framed(11, 5),
		"a request of controllers only":   framed(52, 0),
		"a body that ends early":          framed(1, 4, 0xff, 0xff),
		"an array that is too long":       framed(3, 1, 0x7f, 0xff, 0xff, 0xff),
	} {
		t.Run(name, func(t *testing.T) {
			c := s.dial(0)
			defer c.Close()
			_, err := c.Write(bytes)
			require.NoError(t, err)
			assert.True(t, isClosed(c), "the connection is closed")
		})
	}
	t.Run("an unknown version of ApiVersions", func(t *testing.T) { s.unknownApiVersions(t) })
	t.Run("answers come in order", func(t *testing.T) { s.pipelined(t) })
	t.Run("noise", func(t *testing.T) { s.noise(2000) })
	t.Run("damaged records", func(t *testing.T) { s.damagedRecords(t, "source") })
	requireSame(t, values(lines), s.read("source"))
	s.stop()
	assert.Empty(t, s.errors.String())
}

// unknownApiVersions is answered in version 0, which says what to try (KIP-511).
func (s *serving) unknownApiVersions(t *testing.T) {
	c := s.dial(1)
	defer c.Close()
	c.Write(framed(18, 77, 0))
	answer := frameFrom(t, c)
	require.EqualValues(t, 7, binary.BigEndian.Uint32(answer), "correlation id")
	resp := kmsg.NewPtrApiVersionsResponse()
	require.NoError(t, resp.ReadFrom(answer[4:]))
	assert.Equal(t, kerr.UnsupportedVersion.Code, resp.ErrorCode)
	require.Len(t, resp.ApiKeys, 1)
	assert.EqualValues(t, 18, resp.ApiKeys[0].ApiKey)
}

func frameFrom(t *testing.T, r io.Reader) []byte {
	var head [4]byte
	_, err := io.ReadFull(r, head[:])
	require.NoError(t, err)
	frame := make([]byte, binary.BigEndian.Uint32(head[:]))
	_, err = io.ReadFull(r, frame)
	require.NoError(t, err)
	return frame
}

// pipelined sends requests byte by byte and all at once, and in one piece.
func (s *serving) pipelined(t *testing.T) {
	c := s.dial(2)
	defer c.Close()
	var all []byte
	for id := range byte(100) {
		req := framed(18, 0)
		req[11] = id
		all = append(all, req...)
	}
	for _, b := range all[:200] {
		c.Write([]byte{b})
	}
	c.Write(all[200:])
	for id := range uint32(100) {
		require.Equal(t, id, binary.BigEndian.Uint32(frameFrom(t, c)), "correlation id")
	}
}

// noise is many connections that begin as a request does, or not even that.
func (s *serving) noise(n int) {
	luck := rand.New(rand.NewPCG(1, 2))
	for range n {
		body := make([]byte, luck.IntN(300))
		for i := range body {
			if body[i] = byte(luck.Uint32()); luck.IntN(3) > 0 {
				body[i] &= 3 // small numbers are more often sense
			}
		}
		p := framed(int16(luck.IntN(95)), int16(luck.IntN(18)), body...)
		switch luck.IntN(4) {
		case 0:
			p = p[:luck.IntN(len(p))]
		case 1:
			p[luck.IntN(len(p))] ^= 1 << luck.IntN(8)
		}
		c := s.dial(luck.IntN(3))
		c.Write(p)
		c.(*net.TCPConn).CloseWrite()
		c.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
		io.Copy(io.Discard, c)
		c.Close()
	}
}

// damagedRecords are refused, and the partition goes on.
func (s *serving) damagedRecords(t *testing.T, topic string) {
	client := s.franz()
	luck := rand.New(rand.NewPCG(3, 4))
	for _, records := range [][]byte{nil, {}, {1}, bytes.Repeat([]byte{0}, 61), bytes.Repeat([]byte{2}, 500), noisyBatch(luck)} {
		for p := range int32(partitions) {
			req := kmsg.NewPtrProduceRequest()
			req.Acks, req.TimeoutMillis = -1, 5000
			rt := kmsg.NewProduceRequestTopic()
			rt.Topic = topic
			rp := kmsg.NewProduceRequestTopicPartition()
			rp.Partition, rp.Records = p, records
			rt.Partitions = append(rt.Partitions, rp)
			req.Topics = append(req.Topics, rt)
			req.Version = 9
			leader := s.leader(client, topic, p)
			resp, err := client.Broker(int(leader)).Request(deadline(t), req)
			if err != nil {
				continue // the connection was closed on us, which is fine
			}
			for _, rt := range resp.(*kmsg.ProduceResponse).Topics {
				assert.NotZero(t, rt.Partitions[0].ErrorCode, "%x", records)
			}
		}
	}
}

// noisyBatch is a batch in all but what is in it.
func noisyBatch(luck *rand.Rand) []byte {
	b := make([]byte, 200)
	for i := range b {
		b[i] = byte(luck.Uint32())
	}
	copy(b, []byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 188, 0, 0, 0, 0, 2})
	return b
}

func (s *serving) leader(client *kgo.Client, topic string, p int32) int32 {
	req := kmsg.NewPtrMetadataRequest()
	rt := kmsg.NewMetadataRequestTopic()
	rt.Topic = &topic
	req.Topics = append(req.Topics, rt)
	resp, err := req.RequestWith(deadline(s.t), client)
	require.NoError(s.t, err)
	for _, rp := range resp.Topics[0].Partitions {
		if rp.Partition == p {
			return rp.Leader
		}
	}
	s.t.Fatalf("%s/%d is not in the metadata", topic, p)
	return -1
}

// A thousand connections that say nothing, or begin and never end, take memory
// for what they sent and no more; the cluster serves others beside them.
func TestServe_BearsAThousandConnections(t *testing.T) {
	skipIfShort(t)
	t.Parallel()
	s := startServing(t, t.TempDir())
	s.createTopic("source")
	lines := goSource(t)[:3000]
	begun := [][]byte{
		nil,
		{0},
		size(100_000_000, 0, 0, 0, 7),
		size(100_000_000, bytes.Repeat([]byte{0}, 10_000)...),
		framed(0, 9)[:9],
		framed(18, 3, 0), // incomplete inside the body
	}
	for i := range 1000 {
		c := s.dial(i)
		defer c.Close()
		c.Write(begun[i%len(begun)])
	}
	s.produce("source", lines)
	requireSame(t, values(lines), s.read("source"))
	if runtime.GOOS == "linux" {
		t.Logf("%d MB", s.memory()>>20)
		assert.Less(t, s.memory(), 400<<20)
	}
	s.stop()
	assert.Empty(t, s.errors.String())
}

// Clients that ask for much and read nothing hold up only themselves.
func TestServe_BearsClientsThatDoNotRead(t *testing.T) {
	skipIfShort(t)
	t.Parallel()
	s := startServing(t, t.TempDir(), "--brokers", "1", "--controllers", "1")
	s.createTopic("source")
	lines := goSource(t)[:30_000]
	s.produce("source", lines)
	fetch := kmsg.NewPtrFetchRequest()
	fetch.Version, fetch.MaxWaitMillis, fetch.MaxBytes = 4, 500, 50<<20
	ft := kmsg.NewFetchRequestTopic()
	ft.Topic = "source"
	for p := range int32(partitions) {
		fp := kmsg.NewFetchRequestTopicPartition()
		fp.Partition, fp.PartitionMaxBytes = p, 50<<20
		ft.Partitions = append(ft.Partitions, fp)
	}
	fetch.Topics = append(fetch.Topics, ft)
	request := framed(1, 4, fetch.AppendTo(nil)...)
	for i := range 100 {
		c := s.dial(0)
		defer c.Close()
		for range 20 {
			_, err := c.Write(request)
			require.NoError(t, err, fmt.Sprint("connection ", i))
		}
	}
	requireSame(t, values(lines), s.read("source"))
	if runtime.GOOS == "linux" {
		t.Logf("%d MB", s.memory()>>20)
		assert.Less(t, s.memory(), 800<<20)
	}
	s.stop()
}
