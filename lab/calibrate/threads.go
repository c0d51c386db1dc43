package calibrate

import (
	"encoding/hex"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// brokerThreads are those of brokers that run on this machine, as Linux shows them in
// /proc. A nil one is of brokers that run elsewhere, or whose threads may not be seen.
type brokerThreads struct {
	network, io, followers []string // directories of threads
}

// Names of Kafka's threads as Linux cuts them, at 15 characters. Network threads and
// request handlers have the same one then.
const (
	dataPlane      = "data-plane-kafk"
	replicaFetcher = "ReplicaFetcherT"
)

// findThreads finds the threads of Kafka's brokers by the ports that they listen at; nil
// unless all are here. Partitions must have followers by then, or they have no fetchers.
func findThreads(addrs []string) *brokerThreads {
	b := &brokerThreads{}
	for _, addr := range addrs {
		process := listenerAt(addr)
		if process == "" {
			return nil
		}
		for _, thread := range tasks(process) {
			switch name := nameOf(thread); {
			case name == replicaFetcher:
				b.followers = append(b.followers, thread)
			case name == dataPlane && polls(thread):
				b.network = append(b.network, thread)
			case name == dataPlane:
				b.io = append(b.io, thread)
			}
		}
	}
	if len(b.network) == 0 || len(b.io) == 0 {
		return nil
	}
	return b
}

// polls reports whether a thread is one of the network, which waits in a poll when it is
// idle; a request handler waits in a queue.
func polls(thread string) bool {
	for range 5 {
		if strings.Contains(read(filepath.Join(thread, "wchan")), "poll") {
			return true
		}
		time.Sleep(time.Millisecond)
	}
	return false
}

// used is the CPU time so far.
func (b *brokerThreads) used() (sum cpu) {
	if b == nil {
		return cpu{}
	}
	for _, kind := range []struct {
		to      *float64
		threads []string
	}{{&sum.network, b.network}, {&sum.io, b.io}, {&sum.follower, b.followers}} {
		for _, thread := range kind.threads {
			*kind.to += onCPU(thread)
		}
	}
	return sum
}

// since is what was used for each of n requests.
func (c cpu) since(before cpu, n int) cpu {
	return cpu{(c.network - before.network) / float64(n), (c.io - before.io) / float64(n), (c.follower - before.follower) / float64(n)}
}

func tasks(process string) []string {
	all, _ := filepath.Glob(filepath.Join(process, "task", "*"))
	return all
}

func nameOf(thread string) string { return strings.TrimSpace(read(filepath.Join(thread, "comm"))) }

// onCPU is the time of a thread in microseconds; 0 of one that is gone.
func onCPU(thread string) float64 {
	nanos, _, _ := strings.Cut(read(filepath.Join(thread, "schedstat")), " ")
	n, _ := strconv.ParseFloat(nanos, 64)
	return n / 1000
}

// read is a file's text; "" where there is none.
func read(path string) string {
	text, _ := os.ReadFile(path)
	return string(text)
}

// listenerAt is the directory of the process that listens at a loopback address; ""
// unless there is one.
func listenerAt(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil || !isLoopback(host) {
		return ""
	}
	n, _ := strconv.ParseUint(port, 10, 16)
	socket := listeningSocket(uint16(n))
	if socket == "" {
		return ""
	}
	fds, _ := filepath.Glob("/proc/[0-9]*/fd/*")
	for _, fd := range fds {
		if to, err := os.Readlink(fd); err == nil && to == socket {
			return filepath.Dir(filepath.Dir(fd))
		}
	}
	return ""
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// listeningSocket is the link that a file descriptor of a listener at a port has: the
// tables of Linux have addresses in hexadecimal, the state 0A for a listener, and the
// inode in the tenth column.
func listeningSocket(port uint16) string {
	want := strings.ToUpper(hex.EncodeToString([]byte{byte(port >> 8), byte(port)}))
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		for line := range strings.Lines(read(table)) {
			f := strings.Fields(line)
			if len(f) > 9 && f[3] == "0A" && strings.HasSuffix(f[1], ":"+want) {
				return "socket:[" + f[9] + "]"
			}
		}
	}
	return ""
}
