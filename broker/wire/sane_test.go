package wire

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"go/format"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/internal/golden"
)

// reading reads the grammar of a request off its encoder: a field is where the
// bytes change when it does.
type reading struct{ key, version int16 }

// place finds a structure in a request, making what holds it.
type place func(request reflect.Value) reflect.Value

func (r reading) encode(at place, change func(reflect.Value)) []byte {
	req := kmsg.RequestForKey(r.key)
	byDefault(reflect.ValueOf(req))
	req.SetVersion(r.version)
	s := at(reflect.ValueOf(req).Elem())
	if change != nil {
		change(s)
	}
	return req.AppendTo(nil)
}

func byDefault(pointer reflect.Value) {
	if d, ok := pointer.Interface().(interface{ Default() }); ok {
		d.Default()
	}
}

func (r reading) structure(t reflect.Type, at place) string {
	var out strings.Builder
	for i := range t.NumField() {
		if name := t.Field(i).Name; name != "Version" && name != "UnknownTags" {
			out.WriteString(r.field(t.Field(i).Type, i, at))
		}
	}
	return out.String()
}

// field is what a field adds; nothing, if the version has it not, or as a tag.
func (r reading) field(t reflect.Type, i int, at place) string {
	with := func(f func(reflect.Value)) []byte {
		return r.encode(at, func(s reflect.Value) { f(s.Field(i)) })
	}
	set := func(v any) []byte {
		return with(func(f reflect.Value) { f.Set(reflect.ValueOf(v).Convert(t)) })
	}
	switch t.Kind() {
	case reflect.String:
		if grows(set(""), set("x")) == 1 {
			return "s"
		}
	case reflect.Pointer:
		inner := func(req reflect.Value) reflect.Value {
			f := at(req).Field(i)
			if f.IsNil() {
				f.Set(reflect.New(t.Elem()))
				byDefault(f)
			}
			return f.Elem()
		}
		none := with(func(f reflect.Value) { f.SetZero() })
		one := r.encode(inner, func(s reflect.Value) {
			if s.Kind() == reflect.String {
				s.SetString("x")
			}
		})
		switch first := firstChange(none, one); {
		case first == 0:
		case t.Elem().Kind() == reflect.String && grows(none, one) == 1:
			return "s"
		case t.Elem().Kind() == reflect.Struct && none[first-1] == 0xff:
			return "(" + r.structure(t.Elem(), inner) + "t)"
		}
	case reflect.Slice:
		none := with(func(f reflect.Value) { f.Set(reflect.MakeSlice(t, 0, 0)) })
		one := with(func(f reflect.Value) {
			f.Set(reflect.MakeSlice(t, 1, 1))
			byDefault(f.Index(0).Addr())
		})
		first := firstChange(none, one)
		switch {
		case first == 0 || one[first-1] != 2:
		case t.Elem().Kind() == reflect.Uint8:
			return "s"
		case t.Elem().Kind() == reflect.Struct:
			return "[" + r.structure(t.Elem(), func(req reflect.Value) reflect.Value {
				f := at(req).Field(i)
				if f.Len() == 0 {
					f.Set(reflect.MakeSlice(t, 1, 1))
					byDefault(f.Index(0).Addr())
				}
				return f.Index(0)
			}) + "t]"
		case t.Elem().Kind() == reflect.String:
			return "[s]"
		default:
			return "[" + fixed(t.Elem()) + "]"
		}
	case reflect.Struct:
		if inside := r.structure(t, func(req reflect.Value) reflect.Value { return at(req).Field(i) }); inside != "" {
			return inside + "t"
		}
	default:
		a := with(func(f reflect.Value) { f.SetZero() })
		b := with(func(f reflect.Value) {
			switch {
			case f.Kind() == reflect.Array:
				f.Index(0).SetUint(1)
			case f.Kind() == reflect.Bool:
				f.SetBool(true)
			case f.CanInt():
				f.SetInt(1)
			case f.CanUint():
				f.SetUint(1)
			default:
				f.SetFloat(1)
			}
		})
		c := r.encode(at, nil)
		if !bytes.Equal(a, b) && grows(a, b) == 0 && grows(b, c) == 0 {
			return fixed(t)
		}
	}
	return ""
}

func grows(a, b []byte) int { return len(b) - len(a) }

// firstChange is one more than where a and b begin to differ; 0: nowhere.
func firstChange(a, b []byte) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i + 1
		}
	}
	return 0
}

func fixed(t reflect.Type) string {
	switch t.Size() {
	case 16:
		return "u"
	default:
		return fmt.Sprint(t.Size())
	}
}

// The table is what kmsg writes. A new version of a request shows in the diff.
func TestSane_TheGrammarIsKmsgs(t *testing.T) {
	var out bytes.Buffer
	out.WriteString("package wire\n\n// grammars is written by a test, see grammar.\nvar grammars = map[int16][]grammar{\n")
	for key := int16(0); key < 95; key++ {
		var lines []string
		last := ""
		for v := int16(0); ; v++ {
			req := kmsg.RequestForKey(key)
			if req == nil || v > req.MaxVersion() {
				break
			}
			if req.SetVersion(v); !req.IsFlexible() || !Broker.Speaks(key, v) && !Controller.Speaks(key, v) {
				continue
			}
			g := reading{key, v}.structure(reflect.TypeOf(req).Elem(), func(req reflect.Value) reflect.Value { return req }) + "t"
			if key == keyFetch && v >= 15 {
				g = strings.TrimSuffix(g, "t") + "r"
			}
			if g != last {
				lines = append(lines, fmt.Sprintf("{%d, %q}", v, g))
			}
			last = g
		}
		if len(lines) > 0 {
			fmt.Fprintf(&out, "%d: {%s}, // %s\n", key, strings.Join(lines, ", "), kmsg.NameForKey(key))
		}
	}
	out.WriteString("}\n")
	text, err := format.Source(out.Bytes())
	require.NoError(t, err)
	golden.File(t, "grammar.go", string(text))
}

// full fills a message with data of all kinds.
func full(v reflect.Value, luck *rand.Rand) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if name := v.Type().Field(i).Name; name != "Version" && name != "UnknownTags" {
				full(v.Field(i), luck)
			}
		}
	case reflect.Pointer:
		if luck.IntN(2) == 0 {
			v.Set(reflect.New(v.Type().Elem()))
			full(v.Elem(), luck)
		}
	case reflect.Slice:
		n := luck.IntN(4)
		if v.Type().Elem().Kind() == reflect.Uint8 {
			n = luck.IntN(300)
		}
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		for i := range n {
			full(v.Index(i), luck)
		}
	case reflect.Array:
		for i := range v.Len() {
			full(v.Index(i), luck)
		}
	case reflect.String:
		v.SetString(strings.Repeat("\xff", luck.IntN(200)))
	case reflect.Bool:
		v.SetBool(luck.IntN(2) == 0)
	case reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt([]int64{-1, 0, 1, luck.Int64(), -luck.Int64()}[luck.IntN(5)] >> (64 - v.Type().Bits()))
	case reflect.Uint8, reflect.Uint16, reflect.Uint32:
		v.SetUint(luck.Uint64() >> (64 - v.Type().Bits()))
	case reflect.Float64:
		v.SetFloat(luck.NormFloat64())
	}
}

// everyFlexible calls f with each request of each flexible version, full of data.
func everyFlexible(luck *rand.Rand, times int, f func(req kmsg.Request, body []byte)) {
	for _, r := range slices.Concat(Broker, Controller) {
		for v := r.Min; v <= r.Max; v++ {
			for range times {
				req := kmsg.RequestForKey(r.Key)
				full(reflect.ValueOf(req).Elem(), luck)
				if req.SetVersion(v); req.IsFlexible() {
					f(req, req.AppendTo(nil))
				}
			}
		}
	}
}

// The walk ends where the request does, whatever it holds; so it knows where
// everything is.
func TestSane_WalksToTheEnd(t *testing.T) {
	everyFlexible(rand.New(rand.NewPCG(1, 2)), 30, func(req kmsg.Request, body []byte) {
		require.NoError(t, checkLengths(req, body), "%s v%d: %x", kmsg.NameForKey(req.Key()), req.GetVersion(), body)
		var w walker
		w.Src = append(body, "the end"...)
		w.walk(layoutOf(req.Key(), req.GetVersion()))
		require.Equal(t, "the end", string(w.Src), "%s v%d: %x", kmsg.NameForKey(req.Key()), req.GetVersion(), body)
	})
}

// A count that no frame could hold, put anywhere, costs no time.
func TestSane_AbsurdCountsCostNothing(t *testing.T) {
	began := time.Now()
	everyFlexible(rand.New(rand.NewPCG(3, 4)), 1, func(req kmsg.Request, body []byte) {
		for at := 0; at <= len(body); at += 1 + len(body)/60 {
			absurd := append(binary.AppendUvarint(slices.Clone(body[:at]), 0xffffffff), body[at:]...)
			if checkLengths(req, absurd) == nil {
				again := kmsg.RequestForKey(req.Key())
				again.SetVersion(req.GetVersion())
				_ = again.ReadFrom(absurd)
			}
		}
	})
	assert.Less(t, time.Since(began), 20*time.Second)
}

func BenchmarkSane(b *testing.B) {
	req := kmsg.NewPtrProduceRequest()
	req.Version = 13
	req.Topics = make([]kmsg.ProduceRequestTopic, 1)
	req.Topics[0].Partitions = make([]kmsg.ProduceRequestTopicPartition, 1)
	req.Topics[0].Partitions[0].Records = make([]byte, 1000)
	body := req.AppendTo(nil)
	b.ReportAllocs()
	for b.Loop() {
		_ = checkLengths(req, body)
	}
}
