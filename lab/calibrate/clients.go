package calibrate

import (
	"context"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/ktrial/ktrial/lab/design"
	"github.com/ktrial/ktrial/lab/profile"
)

// Command is the user's own producer: a command line that sends records and ends, whose
// words may hold {bootstrap}, {topic}, {records}, {size} and {batch}. Its CPU time is
// read, by threads where that can be seen, so that what a record, a byte and a batch
// cost this client comes from differences of runs. Starting up is in none of them.
type Command struct {
	Line string
	// Records is how many the shorter runs send; the longer ones send three times as many.
	Records int
}

// clientRun is one run of the command.
type clientRun struct{ records, size, batch int }

const (
	fullBatch = 16384
	// oneRecord is a batch.size that only one large record fits into.
	oneRecord = large
)

// clientRuns are those of the measurement: each kind short and long.
func (c *Command) runs() (all []clientRun) {
	for _, k := range []clientRun{{c.Records, tiny, fullBatch}, {c.Records, large, fullBatch}, {c.Records / 4, large, oneRecord}} {
		all = append(all, k, clientRun{3 * k.records, k.size, k.batch})
	}
	return all
}

// bytes is about what the runs send.
func (c *Command) bytes() (sum int64) {
	if c == nil {
		return 0
	}
	for _, k := range c.runs() {
		sum += int64(k.records) * int64(k.size+20)
	}
	return sum
}

// clientCPU is the time of a client's threads in microseconds: of those that send what
// the others have put together, and of the others.
type clientCPU struct{ caller, sender float64 }

// measureProducer runs the user's producer, if there is one.
func (r *run) measureProducer(ctx context.Context) error {
	c := r.cfg.Producer
	if c == nil {
		return nil
	}
	used := map[clientRun]clientCPU{}
	for _, k := range c.runs() {
		r.progress(fmt.Sprintf("the producer sends %d records of %d bytes", k.records, k.size), false)
		cpu, err := c.run(ctx, r.cfg.Bootstrap, r.measured[0].topic, k)
		if err != nil {
			return fmt.Errorf("calibrate: producer: %w", err)
		}
		r.sent += int64(k.records) * int64(k.size+20)
		used[k] = cpu
	}
	for name, x := range c.figures(used) {
		r.set(name, profile.Figure{
			Value: rounded(max(0, x)), Unit: profile.Find(name).Unit, Basis: profile.Measured,
			Source: fmt.Sprintf("ktrial calibrate, %s: CPU time of %q, longer runs less shorter ones", r.day(), c.Line),
		})
	}
	return nil
}

// figures are the costs that explain what the runs used.
func (c *Command) figures(used map[clientRun]clientCPU) map[string]float64 {
	perRecord := func(kind int) clientCPU {
		short, long := c.runs()[2*kind], c.runs()[2*kind+1]
		n := float64(long.records - short.records)
		return clientCPU{(used[long].caller - used[short].caller) / n, (used[long].sender - used[short].sender) / n}
	}
	small, big, alone := perRecord(0), perRecord(1), perRecord(2)
	byBytes := func(of func(clientCPU) float64) design.Line {
		return design.FitLine([]float64{tiny, large}, []float64{of(small), of(big)})
	}
	caller := byBytes(func(c clientCPU) float64 { return c.caller })
	sender := byBytes(func(c clientCPU) float64 { return c.sender })
	perBatch := max(0, alone.sender-big.sender) / (1 - float64(large)/fullBatch)
	return map[string]float64{
		profile.ProducerRecord:  caller.Intercept,
		profile.ProducerByte:    caller.Slope * 1000,
		profile.SenderByte:      sender.Slope * 1000,
		profile.ProducerBatch:   perBatch / 2,
		profile.ProducerRequest: perBatch / 2,
	}
}

// run runs the command once.
func (c *Command) run(ctx context.Context, bootstrap, topic string, k clientRun) (clientCPU, error) {
	words := strings.Fields(strings.NewReplacer(
		"{bootstrap}", bootstrap, "{topic}", topic,
		"{records}", strconv.Itoa(k.records), "{size}", strconv.Itoa(k.size), "{batch}", strconv.Itoa(k.batch),
	).Replace(c.Line))
	if len(words) == 0 {
		return clientCPU{}, fmt.Errorf("found an empty command line")
	}
	cmd := exec.CommandContext(ctx, words[0], words[1:]...)
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		return clientCPU{}, err
	}
	end := sampleThreads(cmd.Process.Pid)
	err := cmd.Wait()
	last := end()
	if err != nil {
		return clientCPU{}, fmt.Errorf("%s: %w: %s", words[0], err, lastLine(out.String()))
	}
	if last == (clientCPU{}) { // no threads were seen: all of it is the caller's
		last.caller = inMicros(cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime())
	}
	return last, nil
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return lines[len(lines)-1]
}

// Threads of a Java client that are no part of its work on records, and those that send.
var (
	ofTheJVM    = []string{"C1 Compiler", "C2 Compiler", "VM ", "GC ", "G1 ", "Reference", "Finalizer", "Signal", "Service", "Monitor", "Notification", "Common-Cleaner", "Sweeper"}
	senderNames = []string{"kafka-producer"}
)

// sampleEvery is how often the threads of a client are looked at: what they use after the
// last time is not seen, of a long run as of a short one.
const sampleEvery = 10 * time.Millisecond

// sampleThreads looks at the threads of a process until end is called, which returns what
// they had used when they were seen last.
func sampleThreads(pid int) (end func() clientCPU) {
	stop, last := make(chan struct{}), map[string]float64{}
	var done sync.WaitGroup
	names := map[string]string{}
	done.Go(func() {
		process := fmt.Sprintf("/proc/%d", pid)
		for {
			for _, thread := range tasks(process) {
				if used := onCPU(thread); used > 0 {
					last[thread], names[thread] = used, nameOf(thread)
				}
			}
			select {
			case <-stop:
				return
			case <-time.After(sampleEvery):
			}
		}
	})
	return func() (sum clientCPU) {
		close(stop)
		done.Wait()
		for thread, used := range last {
			switch name := names[thread]; {
			case beginsWithAny(name, ofTheJVM):
			case beginsWithAny(name, senderNames):
				sum.sender += used
			default:
				sum.caller += used
			}
		}
		return sum
	}
}

func beginsWithAny(name string, prefixes []string) bool {
	for _, p := range prefixes {
		if strings.HasPrefix(name, p) {
			return true
		}
	}
	return false
}
