package workloads

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/ktrial/ktrial/broker/client"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/record"
	"github.com/ktrial/ktrial/sim/env"
)

// MoneyTransfer has tellers that move money between accounts, each transfer a
// transaction of two records: what one account pays, and what another one gets, on any
// two partitions. Readers keep the balances. Now and then one takes stock: the tellers
// begin nothing more, what is under way ends, the reader reads all that there is, and
// adds all accounts up. It tells the ledger the sum, which must be 0.
//
// What a reader has in between says nothing: of a transfer it may have read one half and be
// about to read the other.
type MoneyTransfer struct {
	TransactionalWrites
	// Accounts is how many there are; 0: 20.
	Accounts int
	// Stocktaking is how often each reader does; 0: every 8s.
	Stocktaking time.Duration
}

// Name is how `ktrial list` names it.
func (w MoneyTransfer) Name() string { return "money-transfer" }

// About is one line for `ktrial list`.
func (w MoneyTransfer) About() string {
	return "tellers move money between accounts in transactions, readers add all accounts up"
}

// Set changes a parameter, or a client configuration by Kafka's name.
func (w MoneyTransfer) Set(name, value string) (Workload, error) {
	var err error
	switch name {
	case "accounts":
		w.Accounts, err = number(value, 2)
	case "stocktaking":
		w.Stocktaking, err = duration(value)
	default:
		base, err := w.TransactionalWrites.Set(name, value)
		if err != nil {
			return nil, err
		}
		w.TransactionalWrites = base.(TransactionalWrites)
		return w, nil
	}
	if err != nil {
		return nil, fmt.Errorf("parameter %s: found %q, expected %w", name, value, err)
	}
	return w, nil
}

// Names are all that Set knows.
func (w MoneyTransfer) Names() []string {
	return slices.Concat([]string{"accounts", "stocktaking"}, w.TransactionalWrites.Names())
}

// Clients are the tellers, the readers, one that asks for the ends of the logs, and the
// auditor.
func (w MoneyTransfer) Clients(s *Stage) []Client {
	w.TransactionalWrites = w.transactional()
	s.TellHeaders = true
	out := slices.DeleteFunc(w.ProduceConsume.Clients(s), func(c Client) bool { return c.Role == Writes || c.Role == Reads && c.Host != "auditor" })
	b := &bank{w: w, s: s, busy: map[string]bool{}, stops: map[string]bool{}}
	for i := range w.Producers {
		p := &teller{b: b, transacting: transacting{w: w.TransactionalWrites, s: s, name: fmt.Sprintf("t%d", i+1)}}
		out = append(out, Client{Host: fmt.Sprintf("teller-%d", i+1), Role: Writes, TransactionalID: fmt.Sprintf("teller-%d", i+1), Main: p.main})
	}
	for i := range w.Consumers {
		out = append(out, Client{Host: fmt.Sprintf("reader-%d", i+1), Role: Reads, Main: b.read})
	}
	return out
}

// bank is what tellers and readers know of each other. No real ones do: it is how a
// reader knows that no transfer is under way.
type bank struct {
	w     MoneyTransfer
	s     *Stage
	busy  map[string]bool // tellers that may have a transaction open, in this life or the one before
	stops map[string]bool // readers that want no transaction to begin
}

// idle reports whether no transaction is under way.
func (b *bank) idle() bool { return !anyOf(b.busy) }

// stopped reports whether a reader wants no transaction to begin.
func (b *bank) stopped() bool { return anyOf(b.stops) }

func anyOf(of map[string]bool) bool {
	for _, yes := range of { //det:allow one is enough
		if yes {
			return true
		}
	}
	return false
}

// teller is one teller over all lives of its process.
type teller struct {
	b *bank
	transacting
}

func (p *teller) main(h env.Host) {
	p.s.AwaitWork(h)
	if p.until == 0 {
		p.until = p.s.Now() + p.w.Lasts()
	}
	session := p.session
	p.session++
	t := checked(p.s.NewTransactor(h, fmt.Sprintf("%s-%d", p.name, session), p.w.transactorConfig(h.Name())))
	p.b.busy[h.Name()] = false // what was open is decided
	for seq := int64(0); p.s.Now() < p.until; {
		if p.b.stopped() {
			h.Sleep(100 * time.Millisecond)
			continue
		}
		x := p.drawTransfers(h, session, seq)
		seq += int64(len(x.Sends))
		p.b.busy[h.Name()] = true
		t.Run(x)
		p.b.busy[h.Name()] = false
	}
	t.Close()
}

// Amount is the header that holds what a record adds to its account.
const Amount = "amount"

// drawTransfers draws one to three transfers.
func (p *teller) drawTransfers(h env.Host, session int, seq int64) *Transaction {
	rng := h.Rand()
	x := &Transaction{Pause: p.w.pause(h), Abort: p.w.Aborts > 0 && rng.IntN(p.w.Aborts) == 0}
	for range 1 + rng.IntN(3) {
		from := rng.IntN(p.b.accounts())
		to := (from + 1 + rng.IntN(p.b.accounts()-1)) % p.b.accounts()
		amount := 1 + rng.Int64N(100)
		for _, half := range []struct {
			account int
			amount  int64
		}{{from, -amount}, {to, amount}} {
			at := kafka.TopicPartition{Topic: p.w.Topic, Partition: int32(half.account) % p.s.Topics[p.w.Topic]}
			x.Sends = append(x.Sends, Outgoing{
				To: at, Key: fmt.Sprintf("account-%d", half.account), Size: p.w.Size,
				Value:   Numbered{at, p.name, session, seq + int64(len(x.Sends))}.String(),
				Headers: []record.Header{{Key: Amount, Value: strconv.AppendInt(nil, half.amount, 10)}},
			})
		}
	}
	return x
}

func (b *bank) accounts() int {
	if b.w.Accounts == 0 {
		return 20
	}
	return b.w.Accounts
}

// balances are what one reader has read.
type balances struct {
	b       *bank
	h       env.Host
	reader  *Reader
	admin   *client.Admin
	records int64
	of      map[string]int64 // by account
}

// read is one life of a reader.
func (b *bank) read(h env.Host) {
	b.s.AwaitWork(h)
	every := b.w.Stocktaking
	if every == 0 {
		every = 8 * time.Second
	}
	cfg := client.AdminDefaults()
	cfg.DefaultAPITimeout = 5 * time.Second
	a := &balances{b: b, h: h, reader: b.w.reader(b.s, h), admin: client.New(h, b.s.Bootstrap, h.Name()).NewAdmin(cfg), of: map[string]int64{}}
	b.stops[h.Name()] = false // the life before may have ended in the middle of it
	for next := b.s.Now() + every; !b.s.Draining(); {
		if a.poll(); b.s.Now() < next {
			continue
		}
		b.stops[h.Name()] = true
		a.takeStock()
		b.stops[h.Name()] = false
		next = b.s.Now() + every
	}
	a.until(func() bool { return a.reader.Reached(b.s.Ends()) })
	a.tell()
	a.reader.Close()
	a.admin.Close()
}

// poll adds up what one poll brings.
func (a *balances) poll() {
	begun := a.b.s.Now()
	records := a.reader.Poll()
	for i := range records {
		for _, header := range records[i].Headers {
			if header.Key != Amount {
				continue
			}
			amount, err := strconv.ParseInt(string(header.Value), 10, 64)
			if err != nil {
				panic("workloads: the amount of a transfer: " + err.Error())
			}
			a.of[string(records[i].Key)] += amount
		}
	}
	a.records += int64(len(records))
	if records == nil && a.b.s.Now() == begun {
		a.h.Sleep(pollTimeout) // a poll that fails at once
	}
}

func (a *balances) until(done func() bool) {
	for !done() {
		a.poll()
	}
}

// stocktakingLasts is after how long a reader gives it up: a teller may be dead, or a
// partition without a leader.
const stocktakingLasts = 10 * time.Second

// takeStock adds all accounts up while no transaction is under way.
func (a *balances) takeStock() {
	by := a.b.s.Now() + stocktakingLasts
	late := func() bool { return a.b.s.Now() > by || a.b.s.Draining() }
	a.until(func() bool { return a.b.idle() || late() })
	specs := map[kafka.TopicPartition]client.OffsetSpec{}
	for _, tp := range a.reader.assigned {
		specs[tp] = client.EndOfLog
	}
	if late() {
		return
	}
	listed, err := a.admin.ListOffsets(client.ReadUncommitted, specs)
	ends := map[kafka.TopicPartition]kafka.Offset{}
	for tp, at := range listed { //det:allow it is a map again
		if at.Err != nil {
			return
		}
		ends[tp] = at.Offset
	}
	if err != nil || len(ends) < len(specs) {
		return
	}
	a.until(func() bool { return a.reader.Reached(ends) || late() })
	if a.b.idle() && a.reader.Reached(ends) {
		a.tell()
	}
}

func (a *balances) tell() {
	sum := int64(0)
	for _, balance := range a.of { //det:allow a sum
		sum += balance
	}
	a.h.Tell(&StockTaken{Records: a.records, Sum: sum})
}
