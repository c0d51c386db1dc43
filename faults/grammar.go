package faults

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ktrial/ktrial/internal/nearest"
)

// form is one sentence of the grammar: words, and the fields of the fault in
// braces. It both prints and parses.
type form struct {
	text  string
	fault Fault
	group Group
	about string
}

// Group says what a fault hurts.
type Group string

// The groups.
const (
	ProcessGroup    Group = "process"
	NetworkGroup    Group = "network"
	DiskGroup       Group = "disk"
	ClockGroup      Group = "clock"
	LeadershipGroup Group = "leadership"
	// OtherGroup: a fault of another module that does not say.
	OtherGroup Group = "other"
	// OperationGroup: an operator changes the cluster, and nothing is hurt.
	OperationGroup Group = "operation"
)

// Grouped is a fault of another module that says to which group it belongs.
type Grouped interface {
	Fault
	Group() Group
}

// GroupOf is the group of a fault.
func GroupOf(f Fault) Group { return formOf(reflect.TypeOf(f)).group }

// grammar lists every fault there is. The order is that of `ktrial list`, and
// where one sentence begins like another the longer comes first.
var grammar = []form{
	{"kill {Host}", Kill{}, ProcessGroup, "the process dies; the page cache lives on"},
	{"power off {Host}", PowerOff{}, ProcessGroup, "the host loses power: what was not synced may be lost or torn"},
	{"pause {Host}", Pause{}, ProcessGroup, "the process stands still, its connections live"},
	{"stop and power off {Host}", StopAndPowerOff{}, ProcessGroup, "a controlled shutdown, and then the power goes"},
	{"stop {Host}", Stop{}, ProcessGroup, "a controlled shutdown"},
	{"restart {Hosts} one by one, each down for {Down}", RollingRestart{}, ProcessGroup, "a rolling restart in order"},

	{"isolate {Host}", Isolate{}, NetworkGroup, "cut a host off from every other, both ways"},
	{"split {Side} from the rest", Split{}, NetworkGroup, "a network partition into two sides"},
	{"split around {Bridge}", Bridge{}, NetworkGroup, "a network partition in which one host sees both sides"},
	{"cut {Host} from the controllers", CutFromControllers{}, NetworkGroup, "a broker cannot reach the controllers, nor they it"},
	{"cut {From} to {To}", CutOneWay{}, NetworkGroup, "what one side sends to the other vanishes; the way back works"},
	{"slow {From} to {To} by {By}", SlowLink{}, NetworkGroup, "a link takes longer"},
	{"lose {PerMille} in 1000 packets of {Host}", LossyLink{}, NetworkGroup, "loss as TCP shows it: delay, at times a reset"},
	{"swizzle {Hosts}", Swizzle{}, NetworkGroup, "clog hosts one after another, unclog them in another order, over and over"},
	{"deliver {From} to {To} late by {By}", LateDelivery{}, NetworkGroup, "connections stall; what was sent on them arrives after the client has given up"},
	{"reset connections of {Host}", Reset{}, NetworkGroup, "every connection of a host breaks"},
	{"drop connections of {Host} silently", HalfOpen{}, NetworkGroup, "one end of every connection is gone and the other does not know"},

	{"slow fsync of {Host} by {By}", SlowFsync{}, DiskGroup, "every fsync takes longer"},
	{"fail fsync of {Host}", FailFsync{}, DiskGroup, "fsync returns an error"},
	{"lie about fsync of {Host}", LyingFsync{}, DiskGroup, "fsync returns at once and makes nothing durable"},
	{"fill disk of {Host}", DiskFull{}, DiskGroup, "no space is left"},
	{"fail disk of {Host}", DiskError{}, DiskGroup, "reads and writes return input/output errors"},
	{"lose a write of {Host}", LostWrite{}, DiskGroup, "one write is acknowledged and never happens"},
	{"misdirect a write of {Host}", MisdirectedWrite{}, DiskGroup, "one write lands elsewhere in its file"},
	{"tear next write of {Host}", TornWrite{}, ProcessGroup, "the power goes in the middle of a write, and a part of it is kept"},
	{"rot {Bytes} bytes of {Host}", Rot{}, DiskGroup, "bits flip in files at rest"},
	{"wipe {Host}", Wipe{}, ProcessGroup, "the host comes back with an empty disk"},

	{"step clock of {Host} by {By}", StepClock{}, ClockGroup, "the wall clock jumps"},
	{"drift clock of {Host} by {PPM} ppm", DriftClock{}, ClockGroup, "the clock runs fast or slow"},

	{"move leader of {Topic}/{Partition} every {Every}", PingPong{}, LeadershipGroup, "leadership moves to and fro while no process dies"},
	{"move leader of {Topic}/{Partition}", MoveLeader{}, LeadershipGroup, "leadership moves to another in-sync replica"},
	{"move coordinator of {Group} every {Every}", PingPongCoordinator{}, LeadershipGroup, "the coordinator of a consumer group moves to and fro"},
	{"move coordinator of {Group}", MoveCoordinator{}, LeadershipGroup, "another broker becomes coordinator of a consumer group; no process dies"},
	{"move transaction coordinator of {ID} every {Every}", PingPongTransactionCoordinator{}, LeadershipGroup, "the coordinator of a transactional id moves to and fro"},
	{"move transaction coordinator of {ID}", MoveTransactionCoordinator{}, LeadershipGroup, "another broker becomes coordinator of a transactional id; no process dies"},
	{"elect preferred leaders", ElectPreferred{}, LeadershipGroup, "preferred replicas become leaders"},
	{"resign active controller", ResignController{}, LeadershipGroup, "the active controller gives up its leadership"},

	{"add {Count} partitions to {Topic}", AddPartitions{}, OperationGroup, "an operator gives a topic more partitions"},
	{"delete topic {Topic}", DeleteTopic{}, OperationGroup, "an operator deletes a topic; the cure makes another one of its name"},
	{"set feature {Feature} to {Level}", SetFeature{}, OperationGroup, "an operator upgrades or downgrades a feature, such as transaction.version"},
}

// Declare adds a fault of another module to the grammar: its sentence, with the
// fields of the struct in braces, an example of its type, and a line about it.
// It is called once for each type, when the program starts. Plans, the budget,
// replay and `ktrial list` then know the fault as they know ktrial's own.
func Declare(sentence string, example Fault, about string) {
	for _, f := range grammar {
		if f.text == sentence || reflect.TypeOf(f.fault) == reflect.TypeOf(example) {
			panic(fmt.Sprintf("faults: %T, %q: declared before, as %q", example, sentence, f.text))
		}
	}
	group := OtherGroup
	if g, ok := example.(Grouped); ok {
		group = g.Group()
	}
	f := form{sentence, example, group, about}
	for _, p := range f.pieces() {
		if p.field != "" && !reflect.ValueOf(example).FieldByName(p.field).IsValid() {
			panic(fmt.Sprintf("faults: %T, %q: found {%s}, expected a field of the struct", example, sentence, p.field))
		}
	}
	//det:allow it is called before there is a world
	grammar = append(grammar, f)
}

// Sentence is the line of a fault by its declaration: what String returns.
func Sentence(f Fault) string { return sentence(f) }

// Described is a fault's sentence and what it means, for `ktrial list`.
type Described struct{ Text, About string }

// All describes every fault.
func All() []Described {
	var out []Described
	for _, f := range grammar {
		out = append(out, Described{f.text, f.about})
	}
	return out
}

// sentence prints a fault by its form.
func sentence(fault any) string {
	v := reflect.ValueOf(fault)
	f := formOf(v.Type())
	var b strings.Builder
	for _, p := range f.pieces() {
		if p.field == "" {
			b.WriteString(p.words)
			continue
		}
		fmt.Fprint(&b, v.FieldByName(p.field).Interface())
	}
	return b.String()
}

// Parse reads a fault's sentence.
func Parse(text string) (Fault, error) {
	var firstErr error
	for _, f := range grammar {
		values, ok := f.match(text)
		if !ok {
			continue
		}
		fault, err := f.build(values)
		if err == nil {
			return fault, nil
		}
		if firstErr == nil {
			firstErr = fmt.Errorf("fault %q: %w", text, err)
		}
	}
	if firstErr != nil {
		return nil, firstErr
	}
	return nil, fmt.Errorf("fault %q is unknown%s (see: ktrial list)", text, suggestion(text))
}

// suggestion is the sentences that begin with what the first word of text may
// have been meant to be.
func suggestion(text string) string {
	var firsts, near []string
	for _, f := range grammar {
		firsts = append(firsts, firstWord(f.text))
	}
	meant := nearest.Name(firstWord(text), firsts)
	for _, f := range grammar {
		if firstWord(f.text) == meant {
			near = append(near, strconv.Quote(f.text))
		}
	}
	if len(near) == 0 {
		return ""
	}
	return "; did you mean " + strings.Join(near, " or ") + "?"
}

func firstWord(s string) string {
	word, _, _ := strings.Cut(s, " ")
	return word
}

// piece is either words or a field.
type piece struct{ words, field string }

func (f form) pieces() []piece {
	var out []piece
	rest := f.text
	for rest != "" {
		words, after, found := strings.Cut(rest, "{")
		if words != "" {
			out = append(out, piece{words: words})
		}
		if !found {
			break
		}
		name, tail, _ := strings.Cut(after, "}")
		out = append(out, piece{field: name})
		rest = tail
	}
	return out
}

// match finds the text of each field. A field ends where the words that follow
// it stand for the first time.
func (f form) match(text string) (map[string]string, bool) {
	values := map[string]string{}
	pieces := f.pieces()
	for i, p := range pieces {
		if p.field == "" {
			rest, ok := strings.CutPrefix(text, p.words)
			if !ok {
				return nil, false
			}
			text = rest
			continue
		}
		end := len(text)
		if i+1 < len(pieces) {
			if end = strings.Index(text, pieces[i+1].words); end < 0 {
				return nil, false
			}
		}
		values[p.field], text = text[:end], text[end:]
	}
	return values, text == ""
}

func (f form) build(values map[string]string) (Fault, error) {
	v := reflect.New(reflect.TypeOf(f.fault)).Elem()
	for _, p := range f.pieces() {
		if p.field == "" {
			continue
		}
		if err := setField(v.FieldByName(p.field), values[p.field]); err != nil {
			return nil, err
		}
	}
	fault := v.Interface().(Fault)
	return fault, check(fault)
}

func setField(v reflect.Value, text string) error {
	switch v.Interface().(type) {
	case Target:
		t, err := parseTarget(text)
		if err != nil {
			return err
		}
		v.Set(reflect.ValueOf(t))
		return nil
	case time.Duration:
		d, err := time.ParseDuration(text)
		if err != nil {
			return fmt.Errorf("found %q, expected a duration such as 1.5s or 200ms", text)
		}
		v.SetInt(int64(d))
		return nil
	case string:
		v.SetString(text)
		return nil
	}
	n, err := strconv.ParseInt(text, 10, v.Type().Bits())
	if err != nil {
		return fmt.Errorf("found %q, expected a whole number", text)
	}
	v.SetInt(n)
	return nil
}

// Resolve replaces every target of a fault by the hosts that it stands for now,
// so that what really strikes can be recorded and replayed. An error says that
// there is no such target at the moment.
func Resolve(fault Fault, c Cluster, luck *rand.Rand) (Fault, error) {
	v := reflect.New(reflect.TypeOf(fault)).Elem()
	v.Set(reflect.ValueOf(fault))
	for i := range v.NumField() {
		if !v.Field(i).CanInterface() {
			continue
		}
		t, ok := v.Field(i).Interface().(Target)
		if !ok {
			continue
		}
		hosts, err := t.hosts(c, luck)
		if err != nil {
			return nil, err
		}
		v.Field(i).Set(reflect.ValueOf(Host(hosts...)))
	}
	return v.Interface().(Fault), nil
}

func formOf(t reflect.Type) form {
	for _, f := range grammar {
		if reflect.TypeOf(f.fault) == t {
			return f
		}
	}
	panic(fmt.Sprintf("faults: %v", undeclared(t)))
}

func isDeclared(t reflect.Type) bool {
	return slices.ContainsFunc(grammar, func(f form) bool { return reflect.TypeOf(f.fault) == t })
}

func undeclared(t reflect.Type) error {
	return fmt.Errorf("%v is not declared: call faults.Declare(\"... {Field} ...\", %v{}, \"what it does\") when the program starts", t, t)
}
