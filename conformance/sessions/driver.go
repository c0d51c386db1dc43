package sessions

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Driver plays sessions with a cluster of Apache Kafka and one of ours, or with ours alone, and
// keeps what they find.
type Driver struct {
	Net Network
	// Kafka and Ours are the addresses of brokers 1, 2 and 3; nil: that cluster is not there.
	Kafka, Ours []string
	// Listed are the differences that are passed over; Known counts them.
	Listed Differences
	Known  map[*Difference]int
	// Run numbers the sessions, for the names of their topics.
	Run int

	Found           []Finding
	Sessions, Steps int
}

// Hands are all sessions by hand.
func Hands() []Hand { return slices.Concat(hands, oddHands, groupHands, txnHands) }

// Draw is a kind of session that is drawn from a seed.
type Draw func(s *session, steps int)

// The kinds of sessions that are drawn.
var (
	OfRecords      Draw = random
	OfGroups       Draw = randomGroup
	OfTransactions Draw = randomTxns
)

// Greet finds out whether the clusters answer and speak what the sessions speak.
func (d *Driver) Greet() error {
	for _, sd := range d.sides() {
		sd.fresh("")
		err := sd.greet()
		sd.close()
		if err != nil {
			return err
		}
	}
	return nil
}

func (d *Driver) sides() (out []*side) {
	for _, sd := range []*side{{what: "kafka", net: d.Net, addrs: d.Kafka}, {what: "ours", net: d.Net, addrs: d.Ours}} {
		if sd.addrs != nil {
			out = append(out, sd)
		}
	}
	return out
}

func (s *side) greet() error {
	req := kmsg.NewPtrApiVersionsRequest()
	req.SetVersion(3)
	req.ClientSoftwareName, req.ClientSoftwareVersion = "diff", "1"
	resp, ok := quiet[*kmsg.ApiVersionsResponse](s, 1, req)
	if !ok {
		return fmt.Errorf("%s: no answer at %s", s.what, s.addrs[0])
	}
	says := map[int16][2]int16{}
	for _, k := range resp.ApiKeys {
		says[k.ApiKey] = [2]int16{k.MinVersion, k.MaxVersion}
	}
	for _, keys := range []map[int16][2]int16{spoken, groupSpoken, txnSpoken} {
		if lack := lacks(says, keys); lack != "" {
			return fmt.Errorf("%s: %s", s.what, lack)
		}
	}
	s.warmUp()
	return nil
}

// warmUp has every broker fetch a block of producer ids. Kafka answers
// COORDINATOR_LOAD_IN_PROGRESS meanwhile.
func (s *side) warmUp() {
	for broker := range s.addrs {
		eventually(s.net, func() bool {
			req := kmsg.NewPtrInitProducerIDRequest()
			req.SetVersion(4)
			resp, ok := quiet[*kmsg.InitProducerIDResponse](s, broker+1, req)
			return ok && resp.ErrorCode == 0
		})
	}
}

func (d *Driver) newSession(name string, seed uint64) *session {
	d.Run++
	s := &session{
		name: name, net: d.Net, prefix: fmt.Sprintf("s%07d-x-", d.Run), listed: d.Listed, known: map[*Difference]int{},
		rng: rand.New(rand.NewPCG(seed, 7)),
	}
	for _, sd := range d.sides() {
		sd.fresh(s.prefix)
		if sd.what == "kafka" {
			s.kafka = sd
		} else {
			s.ours = sd
		}
	}
	return s
}

// Hand plays a session by hand in a version of its key, between Versions.
func (d *Driver) Hand(h Hand, version int16) {
	s := d.newSession(h.Name, 1)
	s.pin = map[int16]int16{h.Key: version}
	h.play(s)
	d.take(s)
}

// Versions are the lowest and the highest version of its key that both sides speak.
func (h Hand) Versions() (from, to int16) {
	r := common(h.Key)
	return r[0], r[1]
}

// Drawn plays a session of that seed, which ends at its first difference.
func (d *Driver) Drawn(name string, of Draw, seed uint64, steps int) {
	s := d.newSession(name, seed)
	s.stop = true
	of(s, steps)
	d.take(s)
}

// take keeps what a session found.
func (d *Driver) take(s *session) {
	s.clean()
	d.Sessions++
	d.Steps += s.steps
	for l, n := range s.known {
		d.Known[l] += n
	}
	for _, x := range s.found {
		x.Before = strings.Join(s.trace[max(0, len(s.trace)-s.keepTrace()):], "; ")
		d.Found = append(d.Found, x)
	}
}

// Recording is a session whose answers by Kafka are kept.
type Recording struct {
	Name string
	// Alone: it changes configurations that other sessions see, so that none may be played
	// beside it.
	Alone bool
	seed  uint64
	play  func(*session)
}

// Highest are the sessions by hand in the highest version of their keys.
func Highest() (all []Recording) {
	for _, h := range Hands() {
		if !h.Unrecorded {
			all = append(all, Recording{h.Name, h.alone(), 1, h.play})
		}
	}
	return all
}

func (h Hand) alone() bool { return strings.Contains(h.Name, "configs") }

// Recordings are those of Highest, the sessions by hand in the lowest version of their keys, and
// some of each kind that are drawn. Those of configurations are not there in the lowest, for they
// are long and the same.
func Recordings() []Recording {
	all := Highest()
	for _, h := range Hands() {
		if from, to := h.Versions(); from < to && !h.Unrecorded && !h.alone() {
			all = append(all, Recording{h.Name + "-lowest", h.alone(), 1, func(s *session) {
				s.pin = map[int16]int16{h.Key: from}
				h.play(s)
			}})
		}
	}
	for _, kind := range []struct {
		name  string
		seeds uint64
		steps int
		draw  Draw
	}{{"drawn", 8, 60, OfRecords}, {"drawn-group", 18, 40, OfGroups}, {"drawn-transactions", 20, 60, OfTransactions}} {
		for seed := range kind.seeds {
			all = append(all, Recording{fmt.Sprint(kind.name, "-", seed+1), false, seed + 1, func(s *session) {
				s.stop = true
				kind.draw(s, kind.steps)
			}})
		}
	}
	return all
}

// Record plays a session with Kafka alone, and returns what it answered.
func (d *Driver) Record(r Recording) *Script {
	s := d.newSession(r.Name, r.seed)
	s.script = &Script{}
	r.play(s)
	s.clean()
	return s.script
}

// Recorded plays a session with ours alone, and compares the answers with those that Kafka gave
// when they were recorded.
func (d *Driver) Recorded(r Recording) ([]Finding, error) {
	script, err := Transcript(r.Name)
	if err != nil {
		return nil, err
	}
	s := d.newSession(r.Name, r.seed)
	s.script = script
	r.play(s)
	s.clean()
	d.Sessions++
	d.Steps += s.steps
	if len(s.found) == 0 && script.next != len(script.steps) {
		return nil, fmt.Errorf("session %s: found %d steps, expected the %d of its transcript", r.Name, script.next, len(script.steps))
	}
	return s.found, nil
}
