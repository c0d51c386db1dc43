package ktrial

import (
	"bytes"
	"encoding"
	"fmt"
	"go/ast"
	"path"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ktrial/ktrial/internal/golden"
	"github.com/ktrial/ktrial/ledger"
)

// ofEveryLine are the names that each line of a trace has, whatever its event.
var ofEveryLine = []string{"t", "host", "life", "step", "by", "event", "say"}

// An event that is read from a trace is the one that was written, says the same,
// and says something even if nothing is known of it.
func TestEvents_EachKindGoesThroughATrace(t *testing.T) {
	for _, kind := range ledger.Kinds() {
		t.Run(kind.Name, func(t *testing.T) {
			assert.NotEmpty(t, kind.About)
			names := map[string]bool{}
			for _, f := range fieldsOf(reflect.TypeOf(kind.New()).Elem()) {
				assert.NotContains(t, ofEveryLine, f.name, "every line has a field of this name")
				assert.False(t, names[f.name], "two fields are called %s", f.name)
				names[f.name] = true
			}
			full := kind.New()
			fill(reflect.ValueOf(full).Elem())
			for _, e := range []ledger.Event{kind.New(), full} {
				said := e.Sentence()
				assert.True(t, said != "" || kind.Name == "said" && e != full)
				var text bytes.Buffer
				require.NoError(t, ledger.WriteTrace(&text, ledger.Header{}, slices.Values([]*ledger.Entry{{At: time.Second, Host: "broker-1", Event: e}})))
				_, err := ledger.ReadTrace(&text, func(got *ledger.Entry) bool {
					assert.Equal(t, e, got.Event)
					assert.Equal(t, said, got.Event.Sentence())
					return true
				})
				require.NoError(t, err)
			}
		})
	}
}

// What a ledger keeps is the event that was told, also if it keeps only bytes of it,
// between others and more than once.
func TestEvents_EachKindIsKeptAsItWasTold(t *testing.T) {
	packed := 0
	for _, kind := range ledger.Kinds() {
		full, other := kind.New(), &ledger.Said{Text: "in between"}
		fill(reflect.ValueOf(full).Elem())
		told := []ledger.Event{full, other, kind.New(), full, other}
		l := ledger.New(ledger.KeepAll)
		for i, e := range told {
			l.Add(ledger.Entry{At: time.Duration(10 - i), Host: "broker-1", Life: i, Cause: ledger.Cause{Step: uint64(i), By: ledger.ByDisk}, Event: e})
		}
		i := 0
		for e := range l.All() {
			want := ledger.Entry{At: time.Duration(10 - i), Host: "broker-1", Life: i, Cause: ledger.Cause{Step: uint64(i), By: ledger.ByDisk}, Event: told[i]}
			assert.Equal(t, want, *e, "%s: entry %d", kind.Name, i)
			i++
		}
		assert.Len(t, told, i)
		if _, ok := full.(ledger.Packed); ok {
			packed++
		}
	}
	assert.GreaterOrEqual(t, packed, 10)
}

// field is one that the trace has of an event.
type field struct {
	name   string
	quoted bool
	in     reflect.Type // the struct that declares it
	at     reflect.StructField
}

// fieldsOf are the fields of an event, with those of embedded structs.
func fieldsOf(t reflect.Type) (out []field) {
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case name == "-", !f.IsExported():
		case f.Anonymous && name == "":
			in := f.Type
			if in.Kind() == reflect.Pointer {
				in = in.Elem()
			}
			out = append(out, fieldsOf(in)...)
		default:
			out = append(out, field{name, strings.Contains(options, "string"), t, f})
		}
	}
	return out
}

// fill puts something into every field that a trace has.
func fill(v reflect.Value) {
	if u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok && v.Kind() == reflect.Struct {
		if v.NumField() > 0 && !v.Type().Field(0).IsExported() {
			_ = u.UnmarshalText([]byte("orders/0"))
			return
		}
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() && f.Tag.Get("json") != "-" {
				fill(v.Field(i))
			}
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem())
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fill(v.Index(1))
	case reflect.Array:
		fill(v.Index(0))
	case reflect.String:
		v.SetString(`"</script>" & more`)
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Float64:
		v.SetFloat(0.5)
	case reflect.Uint64, reflect.Uint32, reflect.Uint16, reflect.Uint8, reflect.Uint:
		v.SetUint(1<<v.Type().Bits() - 1)
	case reflect.Int64, reflect.Int32, reflect.Int16, reflect.Int8, reflect.Int:
		v.SetInt(1<<(v.Type().Bits()-1) - 1)
	default:
		panic(fmt.Sprintf("no value for a %v", v.Type()))
	}
}

// forPeople are the events that no code reads: their sentence is in the story,
// and reports and other programs read them in the trace.
var forPeople = map[string][]string{
	"why something went wrong, in words": {
		"witness.ConfigIgnored", "witness.QuorumFetchFailed", "witness.Refused",
		"witness.AutoCreateFailed", "witness.Malformed",
		"cluster.ShutdownFailed", "ledger.Said", "witness.EpochRefused",
	},
	"what a user's program wrote, and how it ended": {"workloads.TellingRefused", "workloads.ProgramEnded"},
	"a moment of a node's life; laws look at what follows from it": {
		"witness.QuorumDeposed", "witness.Registered",
		"witness.TopicCreated",
		"witness.LogUncleanable",
	},
	"the course of groups and of their coordinators": {
		"witness.ShardNotLoaded",
		"witness.ShardReverted", "witness.RecordSetAside",
	},
	"what happens to hosts, disks and links: laws look at what nodes make of it": {
		"sim.ClockDrifts",
		"network.Cut", "network.Mended",
	},
	"what a member of a group does: laws look at the group coordinator, and checkers at the history": {
		"witness.CoordinatorFound",
		"witness.ConsumerCommitted",
	},
	"the course of a trial": {
		"cluster.StopRefused", "trial.PromiseBroken",
	},
	"messages, for the report": {
		"witness.ConnectionOpened", "witness.ConnectionAccepted", "witness.ConnectionEnded",
	},
}

// An event that nothing tells is dead. One that no code reads is for people or
// reports, and forPeople says why.
func TestEvents_EachIsToldAndRead(t *testing.T) {
	declared, told, read := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, file := range sources(t) {
		if !file.test {
			e := events{file: file, declared: declared, told: told, read: read}
			e.look()
		}
	}
	people := map[string]string{}
	for reason, names := range forPeople {
		for _, name := range names {
			people[name] = reason
		}
	}
	for name := range declared {
		assert.True(t, told[name], "%s: nothing tells this event", name)
		_, known := people[name]
		switch {
		case read[name]:
			assert.False(t, known, "%s: it is read; take it out of forPeople", name)
		default:
			assert.True(t, known, "%s: nothing reads this event; if it is for people or reports, say so in forPeople", name)
		}
		delete(people, name)
	}
	assert.Empty(t, people, "forPeople names no events of these names")
}

// events finds in a file which types are declared as events, and which are told,
// that is made, and read, that is asked for by their type.
type events struct {
	file                 source
	declared, told, read map[string]bool
}

func (e *events) look() {
	ast.Inspect(e.file.syntax, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CompositeLit:
			e.told[e.name(n.Type)] = true
		case *ast.TypeSwitchStmt:
			for _, clause := range n.Body.List {
				for _, c := range clause.(*ast.CaseClause).List {
					e.reads(c)
				}
			}
		case *ast.TypeAssertExpr:
			e.reads(n.Type)
		case *ast.FuncType:
			for _, p := range n.Params.List {
				e.reads(p.Type)
			}
		case *ast.IndexExpr:
			switch {
			case isMember(n.X, "ledger", "ProbeOn"):
				e.read[e.name(n.Index)] = true
			case isMember(n.X, "ledger", "Declare") || e.file.folder == "ledger" && isIdent(n.X, "Declare"):
				e.declared[e.name(n.Index)] = true
			}
		}
		return true
	})
}

func (e *events) reads(t ast.Expr) {
	if p, ok := t.(*ast.StarExpr); ok {
		e.read[e.name(p.X)] = true
	}
}

// name of a type is that of its package and its own.
func (e *events) name(t ast.Expr) string {
	switch t := t.(type) {
	case *ast.Ident:
		return path.Base(e.file.folder) + "." + t.Name
	case *ast.SelectorExpr:
		if x, ok := t.X.(*ast.Ident); ok {
			return x.Name + "." + t.Sel.Name
		}
	}
	return ""
}

// The part of docs/trace.md that is made from the code is below this line.
const generated = "<!-- made by go test -run TestEvents_AreDescribed -rewrite . -->\n"

// docs/trace.md describes each kind and each of its fields.
func TestEvents_AreDescribed(t *testing.T) {
	const file = "docs/trace.md"
	text := readText(t, file)
	byHand, _, found := strings.Cut(text, generated)
	require.True(t, found, "%s: no line %q", file, generated)
	golden.File(t, file, byHand+generated+describeKinds(t))
}

func describeKinds(t *testing.T) string {
	comments := fieldComments(t)
	var b strings.Builder
	for _, weight := range []ledger.Weight{ledger.Notable, ledger.Detail, ledger.Traffic} {
		fmt.Fprintf(&b, "\n## %s\n\n%s\n\n", weightTitles[weight][0], weightTitles[weight][1])
		for _, kind := range ledger.Kinds() {
			if kind.Weight != weight {
				continue
			}
			fmt.Fprintf(&b, "### %s\n\n%s.\n\n", kind.Name, sentenceCase(kind.About))
			fields := fieldsOf(reflect.TypeOf(kind.New()).Elem())
			if len(fields) == 0 {
				continue
			}
			b.WriteString("| field | type | meaning |\n| --- | --- | --- |\n")
			for _, f := range fields {
				comment, meaning := comments[path.Base(f.in.PkgPath())+"."+f.in.Name()+"."+f.at.Name], meanings[f.name]
				switch {
				case meaning == "":
					meaning = comment
				case comment != "":
					meaning += "; " + comment
				}
				assert.NotEmpty(t, meaning, "%s: field %s of %v has no comment, and its name no meaning in events_test.go", kind.Name, f.at.Name, f.in)
				fmt.Fprintf(&b, "| %s | %s | %s |\n", f.name, jsonType(f.at.Type, f.quoted), strings.ReplaceAll(meaning, "|", "\\|"))
			}
			b.WriteByte('\n')
		}
	}
	return strings.TrimRight(b.String(), "\n") + "\n"
}

var weightTitles = map[ledger.Weight][2]string{
	ledger.Notable: {"Notable events", "They are rare, and make up the story. Every trace has them."},
	ledger.Detail:  {"Details", "They are frequent: what the laws read. A trace has them if the whole ledger was kept."},
	ledger.Traffic: {"Traffic", "Requests, answers and the operations of clients. A trace has them if the whole ledger was kept."},
}

// meanings of the fields that many events have.
var meanings = map[string]string{
	"transactionalId":   "transactional.id of the producer",
	"group":             "name of the group",
	"generation":        "generation of a classic group, or epoch of a KIP-848 group",
	"member":            "id of the member",
	"members":           "ids of the members",
	"instance":          "group.instance.id, if it has one",
	"group_leader":      "id of the member that assigns",
	"protocol":          "name of the protocol that was chosen",
	"partitions":        "the partitions",
	"txn_id":            "transactional id",
	"commit":            "whether it commits; else it aborts",
	"coordinator_epoch": "leader epoch of the partition of __transaction_state",
	"shard":             "the partition of the coordinators' topic, as __consumer_offsets/0",
	"state_before":      "state before; empty: the group, or transactional id, is new",
	"committed":         "the offset",
	"at":                "offset",
	"broker":            "node id of the broker it is about",
	"broker_epoch":      "the broker's epoch: the offset of its registration (KIP-903)",
	"bytes":             "bytes",
	"candidate":         "node id of the candidate",
	"client_addr":       "host:port of the client's end of the connection",
	"server_addr":       "host:port of the server's end of the connection",
	"api":               "name of the API, as Kafka has it",
	"version":           "version of the API",
	"correlation_id":    "number of the request on its connection",
	"client_id":         "client.id",
	"elr":               "eligible leader replicas (KIP-966)",
	"end":               "log end offset: one past the last record",
	"epoch":             "leader epoch",
	"error":             "what went wrong, in words",
	"follower":          "node id of the follower",
	"from":              "first offset, or what it was before",
	"hash":              "fingerprint of the metadata image",
	"hw":                "high watermark",
	"incarnation":       "id of this life of the broker",
	"isr":               "in-sync replicas",
	"isr_before":        "in-sync replicas before",
	"joins":             "node id of the replica that joins",
	"last_known_elr":    "the last leader, if no replica is in ISR or ELR (KIP-966)",
	"late":              "node ids of the replicas that are behind",
	"leader":            "node id of the leader; -1: none",
	"leader_epoch":      "leader epoch",
	"node":              "node id (node.id) of the teller",
	"nodes":             "node ids",
	"offset":            "offset of the last record",
	"partition":         "the partition, as orders/0",
	"partition_epoch":   "partition epoch: it counts the changes of the partition (KIP-497)",
	"producer_epoch":    "epoch of the producer",
	"first_sequence":    "sequence of the first record; -1: none",
	"base":              "first offset",
	"certain":           "whether the leader takes the proposal back",
	"clean":             "whether the shutdown before was clean",
	"digest":            "fingerprint of the batch",
	"error_code":        "error code; 0: none",
	"error_name":        "name of the error",
	"momentary":         "whether the fault has no end",
	"producer":          "producer id",
	"last_sequence":     "sequence of the last record; -1: none",
	"proposed":          "the in-sync replicas that were proposed",
	"records":           "how many records",
	"control":           "whether it is a control batch",
	"replicas":          "node ids of all replicas",
	"start":             "log start offset",
	"state":             "the state, in words",
	"timeout_ns":        "nanoseconds",
	"to":                "offset, or what it is now",
	"topic":             "name of the topic",
	"topic_id":          "id of the topic, as Kafka prints it; empty: not known",
	"votes":             "node ids of the voters that voted for it",
	"at_byte":           "where in the file",
	"moved_ns":          "nanoseconds",
	"process":           "number of the client's process in the history",
	"client":            "name of the client",
	"sends":             "the records that are sent",
	"polled":            "the records that were read, by runs of consecutive offsets",
	"marks":             "the offsets that were asked for",
	"op":                "number",
	"f":                 "the operation",
	"outcome":           "how it ended",
	"asked":             "leader epoch of the request",
	"latest":            "epoch of the last record",
	"path":              "the file, on the disk of the host",
	"file":              "the file, on the disk of the host",
	"as":                "its new name",
	"snapshot":          "name of the snapshot: offset and epoch of its end",
	"expands":           "whether a replica joined",
	"brokers":           "how many brokers are registered",
	"what":              "what was asked",
	"reason":            "why, in words",
	"why":               "why, in words",
	"lost":              "what was lost, in words",
	"text":              "the line",
	"server":            "name of the host",
	"hosts":             "names of the hosts",
	"without":           "names of the hosts that stay cut off",
	"fault":             "the fault, with the targets that it has found",
	"number":            "counts the strikes of a run, from 1",
	"plan":              "the line of a plan that strikes the same",
	"promise":           "the law or check",
	"message":           "what was found",
	"ppm":               "millionths",
	"size":              "bytes",
}

func sentenceCase(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

// fieldComments are the comments of the fields of all structs.
func fieldComments(t *testing.T) map[string]string {
	out := map[string]string{}
	for _, file := range sources(t) {
		ast.Inspect(file.syntax, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			s, ok := spec.Type.(*ast.StructType)
			if !ok || file.test {
				return true
			}
			for _, f := range s.Fields.List {
				text := f.Doc.Text()
				if text == "" {
					text = f.Comment.Text()
				}
				text = strings.TrimSuffix(strings.Join(strings.Fields(text), " "), ".")
				for _, name := range f.Names {
					for _, begin := range []string{": ", " is ", " "} {
						text = strings.TrimPrefix(text, name.Name+begin)
					}
					out[path.Base(file.folder)+"."+spec.Name.Name+"."+name.Name] = text
				}
			}
			return true
		})
	}
	return out
}

var textual = reflect.TypeFor[encoding.TextMarshaler]()

// jsonType is how a trace has a value of a type.
func jsonType(t reflect.Type, quoted bool) string {
	switch {
	case quoted:
		return "integer, in quotes"
	case t.Implements(textual):
		return "text"
	}
	switch t.Kind() {
	case reflect.String:
		return "text"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice:
		return "list of " + jsonType(t.Elem(), false)
	case reflect.Float64:
		return "number"
	case reflect.Pointer:
		return jsonType(t.Elem(), false) + " or absent"
	case reflect.Struct:
		var parts []string
		for _, f := range fieldsOf(t) {
			parts = append(parts, f.name+" ("+jsonType(f.at.Type, f.quoted)+")")
		}
		return "objects with " + strings.Join(parts, ", ")
	}
	if t.Kind() >= reflect.Int && t.Kind() <= reflect.Uint64 {
		return "integer"
	}
	panic(fmt.Sprintf("a %v has no description", t))
}
