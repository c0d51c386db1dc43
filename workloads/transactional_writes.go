package workloads

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/ktrial/ktrial/broker/client"
	"github.com/ktrial/ktrial/broker/config"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/checkers/history"
	"github.com/ktrial/ktrial/sim/env"
)

// TransactionalWrites has producers that write in transactions, each with a
// transactional.id of its own: of drawn length, over drawn partitions, and some of them
// are aborted at the end. Consumers read with read_committed.
//
// Clients ask: make all of these records visible, or none of them. Servers owe, beside
// what they owe any producer and consumer: a committed transaction is read whole, an aborted
// one not at all, and what comes later is not hidden for longer than a transaction
// may be open.
type TransactionalWrites struct {
	ProduceConsume
	// Records is how many a transaction has at most; 0: 10.
	Records int
	// Aborts: one in so many transactions is aborted; 0: none.
	Aborts int
	// Hold is how long a transaction is left open before its end, at most.
	Hold time.Duration
	// Rivals is how many of the producers have one: now and then it takes the
	// transactional.id over, makes a few transactions and ends.
	Rivals int
	// Long is how many of the producers have long transactions, of LongRecords each, at most.
	Long, LongRecords int
	// Fresh: a producer whose transaction was aborted is never used again. The next one has a
	// transactional.id of its own, as where it is drawn when a process starts.
	Fresh bool
	// LooksForHanging is how often an administrator looks for transactions that hang, and
	// aborts them (KIP-664); 0: never.
	LooksForHanging time.Duration
}

// Name is how `ktrial list` names it.
func (w TransactionalWrites) Name() string { return "transactional-writes" }

// About is one line for `ktrial list`.
func (w TransactionalWrites) About() string {
	return "producers write in transactions, some of which they abort; consumers read what is committed"
}

var transactionParameters = []string{"records", "aborts", "hold", "rivals", "fresh", "looks.for.hanging", "long", "long.records"}

// Set changes a parameter, or a client configuration by Kafka's name.
func (w TransactionalWrites) Set(name, value string) (Workload, error) {
	var err error
	switch name {
	case "records":
		w.Records, err = number(value, 1)
	case "aborts":
		w.Aborts, err = number(value, 0)
	case "hold":
		w.Hold, err = duration(value)
	case "rivals":
		w.Rivals, err = number(value, 0)
	case "long":
		w.Long, err = number(value, 0)
	case "long.records":
		w.LongRecords, err = number(value, 1)
	case "fresh":
		w.Fresh, err = strconv.ParseBool(value)
	case "looks.for.hanging":
		w.LooksForHanging, err = duration(value)
	default:
		base, err := w.ProduceConsume.Set(name, value)
		if err != nil {
			return nil, err
		}
		w.ProduceConsume = base.(ProduceConsume)
		return w, nil
	}
	if err != nil {
		return nil, fmt.Errorf("parameter %s: found %q, expected %w", name, value, err)
	}
	return w, nil
}

// Names are all that Set knows.
func (w TransactionalWrites) Names() []string {
	return slices.Concat(transactionParameters, w.ProduceConsume.Names())
}

// Config says what was configured, by Kafka's names.
func (w TransactionalWrites) Config() map[string]string {
	return w.transactional().ProduceConsume.Config()
}

// Check refuses what the clients would refuse, in Kafka's words.
func (w TransactionalWrites) Check() error { return w.transactional().ProduceConsume.Check() }

// transactional is w whose clients are configured for transactions, as far as they are
// not configured otherwise.
func (w TransactionalWrites) transactional() TransactionalWrites {
	w.ProduceConsume = w.ProduceConsume.committedOnly()
	return w
}

// committedOnly is w whose consumers read what is committed, unless it says otherwise.
func (w ProduceConsume) committedOnly() ProduceConsume {
	if _, set := w.Client["isolation.level"]; !set {
		w.Client = maps.Clone(w.Client)
		if w.Client == nil {
			w.Client = map[string]string{}
		}
		w.Client["isolation.level"] = client.ReadCommitted.String()
	}
	return w
}

// Clients are those of ProduceConsume; the producers write in transactions.
func (w TransactionalWrites) Clients(s *Stage) []Client {
	w = w.transactional()
	out := slices.DeleteFunc(w.ProduceConsume.Clients(s), func(c Client) bool { return c.Role == Writes })
	for i := range w.Producers {
		of := w
		if i < w.Long {
			of.Records, of.Aborts = w.LongRecords, 2
		}
		p := &transacting{w: of, s: s, name: fmt.Sprintf("p%d", i+1)}
		out = append(out, Client{Host: fmt.Sprintf("producer-%d", i+1), Role: Writes, TransactionalID: fmt.Sprintf("producer-%d", i+1), Main: p.main})
	}
	for i := range w.Rivals {
		r := &rival{transacting{w: w, s: s, name: fmt.Sprintf("r%d", i+1), id: fmt.Sprintf("producer-%d", i+1)}}
		out = append(out, Client{Host: fmt.Sprintf("rival-%d", i+1), Role: Writes, Main: r.main})
	}
	if w.LooksForHanging > 0 {
		l := &looking{w: w, s: s, readers: hostsOf(out, Reads)}
		out = append(out, Client{Host: "administrator", Main: l.main})
	}
	return out
}

// hostsOf are those of the clients of a role.
func hostsOf(clients []Client, role Role) (hosts []string) {
	for _, c := range clients {
		if c.Role == role {
			hosts = append(hosts, c.Host)
		}
	}
	return hosts
}

// rival takes a producer's transactional.id over, again and again.
type rival struct{ transacting }

const (
	// rivalRests is the mean time between two take-overs.
	rivalRests = 7 * time.Second
	// rivalMakes is how many transactions it makes each time.
	rivalMakes = 3
)

func (r *rival) main(h env.Host) {
	r.s.AwaitWork(h)
	if r.until == 0 {
		r.until = r.s.Now() + r.w.Lasts()
	}
	for r.s.Now() < r.until {
		h.Sleep(rivalRests/2 + time.Duration(h.Rand().Int64N(int64(rivalRests))))
		session := r.session
		r.session++
		t := r.begin(h, session)
		seq := int64(0)
		for range rivalMakes {
			x := r.draw(h, session, seq)
			seq += int64(len(x.Sends))
			if t.Run(x) != history.OK && !x.Abort {
				break
			}
		}
		t.Close()
	}
}

// transactorConfig is the configuration of a producer with a transactional.id.
func (w ProduceConsume) transactorConfig(transactionalID string) client.ProducerConfig {
	given := w.given(config.Producer)
	given["transactional.id"] = transactionalID
	return checked(client.ReadProducer(given))
}

// transacting is one producer over all lives of its process.
type transacting struct {
	w       TransactionalWrites
	s       *Stage
	name    string
	id      string        // transactional.id; empty: that of the host
	session int           // of the next life
	until   time.Duration // of the world's time; set when the work begins
}

func (p *transacting) main(h env.Host) {
	p.s.AwaitWork(h)
	if p.until == 0 {
		p.until = p.s.Now() + p.w.Lasts()
	}
	session := p.session
	p.session++
	if p.id == "" {
		p.id = h.Name()
	}
	t := p.begin(h, session)
	for seq := int64(0); p.s.Now() < p.until; {
		x := p.draw(h, session, seq)
		seq += int64(len(x.Sends))
		if outcome := t.Run(x); p.w.Fresh && outcome != history.OK {
			t.Close()
			session, seq = p.session, 0
			p.session++
			p.id = fmt.Sprintf("%s.%d", h.Name(), session)
			t = p.begin(h, session)
		}
	}
	t.Close()
}

func (p *transacting) begin(h env.Host, session int) *Transactor {
	return checked(p.s.NewTransactor(h, fmt.Sprintf("%s-%d", p.name, session), p.w.transactorConfig(p.id)))
}

// draw draws a transaction.
func (p *transacting) draw(h env.Host, session int, seq int64) *Transaction {
	rng, records := h.Rand(), p.w.Records
	if records == 0 {
		records = 10
	}
	x := &Transaction{Pause: p.w.pause(h)}
	for i := range int64(1 + rng.IntN(records)) {
		to := kafka.TopicPartition{Topic: p.w.Topic, Partition: int32(rng.IntN(int(p.s.Topics[p.w.Topic])))}
		x.Sends = append(x.Sends, Outgoing{To: to, Value: Numbered{to, p.name, session, seq + i}.String(), Size: p.w.Size})
	}
	x.Abort = p.w.Aborts > 0 && rng.IntN(p.w.Aborts) == 0
	if p.w.Hold > 0 {
		x.Hold = time.Duration(rng.Int64N(int64(p.w.Hold)))
	}
	return x
}

// pause draws the time before each send, by the rate.
func (w ProduceConsume) pause(h env.Host) func() time.Duration {
	pace := (&producing{w: w}).pace()
	return func() time.Duration { return pace/2 + time.Duration(h.Rand().Int64N(int64(pace))) }
}
