package history

import (
	"bytes"
	"compress/gzip"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func read(t require.TestingT, text string) *History {
	h, err := Read("test", strings.NewReader(text))
	require.NoError(t, err)
	return h
}

func write(t require.TestingT, h *History, format Format) string {
	var out bytes.Buffer
	require.NoError(t, h.Write(&out, format))
	return out.String()
}

func TestOperationsAreReadAsTheyAreWritten(t *testing.T) {
	h := read(t, `
		{:index 0, :type :invoke, :process 3, :f :txn, :value [[:poll] [:send :x 7]], :time 5}
		{:index 1, :type :info, :process :nemesis, :f :kill, :value ["n1"], :time 6}
		{:index 2, :type :ok, :process 3, :f :txn, :value [[:poll {:y [[4 "a"] [6 b]], :x [[nil 1]]}] [:send :x [9 7]]], :time 12,
		 :rebalance-log [{:type :revoked, :keys [:y]}]}`)
	require.Equal(t, 1, h.Len())
	var op Op
	h.Read(0, &op)
	assert.Equal(t, OK, op.Type)
	assert.Equal(t, Txn, op.F)
	assert.EqualValues(t, 3, op.Process)
	assert.EqualValues(t, []int64{0, 2, 5, 12}, []int64{op.Invoked, op.Completed, int64(op.Start), int64(op.End)})
	require.Len(t, op.Sends, 1)
	assert.EqualValues(t, 9, op.Sends[0].Offset)
	assert.Equal(t, Int(7), h.ValueOf(op.Sends[0].Rec))
	assert.Equal(t, Keyword("x"), h.Keys()[h.KeyOf(op.Sends[0].Rec)])
	require.Len(t, op.Polled, 3)
	assert.Equal(t, Text("a"), h.ValueOf(op.Polled[0].Rec))
	assert.Equal(t, "b", h.ValueOf(op.Polled[1].Rec).String())
	assert.Equal(t, NoOffset, op.Polled[2].Offset)
	assert.Equal(t, []Key{h.KeyOf(op.Polled[0].Rec)}, op.Rebalanced)
	require.Len(t, h.Notes(), 1)
	assert.Equal(t, "nemesis", h.Notes()[0].Actor)
}

// Of a client that is killed in a transaction only the invocation tells, and what it tells
// survives: the records that the transaction is made of, and as what the client made it.
func TestATransactionWithoutAnEndKeepsWhatItIsMadeOf(t *testing.T) {
	h := read(t, `{"type":"invoke","process":3,"f":"txn","value":[["poll",{"y":[[4,"a"],[6,"b"]]}],["send","x",7],["commit","y",7]],"group":"g","generation":2,"producer":5,"epoch":9,"time":1}`)
	for range 2 {
		var op Op
		h.Read(0, &op)
		assert.Equal(t, Unknown, op.Type)
		require.Len(t, op.Polled, 2)
		assert.EqualValues(t, 6, op.Polled[1].Offset)
		assert.EqualValues(t, []int64{2, 5, 9}, []int64{op.Generation, op.Producer, op.ProducerEpoch})
		require.Len(t, op.Offsets, 1)
		assert.EqualValues(t, 7, op.Offsets[0].Offset)
		h = read(t, write(t, h, JSON))
	}
}

// What a listener is told stands by itself, and the poll that it is told in goes on.
func TestAListenerIsToldDuringAPoll(t *testing.T) {
	h := read(t, `
		{:index 0, :type :invoke, :process 3, :f :poll, :value [[:poll]], :group "g", :time 1}
		{:index 1, :type :ok, :process 3, :f :revoked, :value [:x], :group "g", :generation 4, :member "m-1", :time 2}
		{:index 2, :type :ok, :process 3, :f :assigned, :value [], :group "g", :generation 5, :member "m-1", :time 3}
		{:index 3, :type :ok, :process 3, :f :poll, :value [[:poll {:y [[4 "a"]]}]], :group "g", :time 4}
		{:index 4, :type :invoke, :process 3, :f :process, :value [[:processed :y 4]], :group "g", :time 5}
		{:index 5, :type :ok, :process 3, :f :process, :value nil, :group "g", :time 6}`)
	require.Equal(t, 4, h.Len())
	assert.Zero(t, h.Headless())
	var ops [4]Op
	for i := range ops {
		h.Read(i, &ops[i])
	}
	assert.EqualValues(t, []int64{0, 3}, []int64{ops[0].Invoked, ops[0].Completed})
	assert.Equal(t, Revoked, ops[1].F)
	assert.EqualValues(t, []int64{1, 1}, []int64{ops[1].Invoked, ops[1].Completed})
	assert.Equal(t, []any{int64(4), "m-1", []Key{0}}, []any{ops[1].Generation, ops[1].Member, ops[1].Keys})
	assert.Equal(t, Assigned, ops[2].F)
	assert.Equal(t, []OffsetMop{{Kind: MopProcessed, Key: 1, Offset: 4, Silent: true}}, ops[3].Offsets)
	for _, format := range []Format{EDN, JSON} {
		once := write(t, h, format)
		assert.Equal(t, once, write(t, read(t, once), format))
	}
}

func TestWhatHistoriesMayLack(t *testing.T) {
	t.Run("a completion", func(t *testing.T) {
		h := read(t, `[{:type :invoke, :process 0, :f :send, :value [[:send 1 10]]}]`)
		var op Op
		h.Read(0, &op)
		assert.Equal(t, Unknown, op.Type)
		assert.Equal(t, int64(Never), op.Completed)
		assert.EqualValues(t, 0, h.Index(0))
		assert.Len(t, op.Sends, 1)
	})
	t.Run("an invocation: it may have begun at any time", func(t *testing.T) {
		h := read(t, `[{:type :info, :process :x} {:type :ok, :process 0, :f :send, :value [[:send 1 [3 10]]]}]`)
		var op Op
		h.Read(0, &op)
		assert.EqualValues(t, 0, op.Invoked)
		assert.EqualValues(t, 1, op.Completed)
	})
	t.Run("a completion before the next invocation", func(t *testing.T) {
		h := read(t, `[{:type :invoke, :process 0, :f :send, :value [[:send 1 10]]}
			{:type :invoke, :process 0, :f :send, :value [[:send 1 11]]}
			{:type :ok, :process 0, :f :send, :value [[:send 1 [0 11]]]}]`)
		require.Equal(t, 2, h.Len())
		assert.Equal(t, Unknown, h.Brief(0).Type)
		assert.Equal(t, OK, h.Brief(1).Type)
		var op Op
		h.Read(0, &op)
		assert.Equal(t, Int(10), h.ValueOf(op.Sends[0].Rec))
	})
	t.Run("the value of a failure: what was asked counts", func(t *testing.T) {
		h := read(t, `[{:type :invoke, :process 0, :f :send, :value [[:send 1 10] [:send 1 11]]}
			{:type :fail, :process 0, :f :send, :value nil, :error [:timeout "broker 1"]}]`)
		var op Op
		h.Read(0, &op)
		require.Len(t, op.Sends, 2)
		assert.True(t, op.Sends[1].Silent)
		assert.Equal(t, `[:timeout "broker 1"]`, op.Error)
	})
	t.Run("a dense index", func(t *testing.T) {
		h := read(t, `[{:index 10, :type :invoke, :process 0, :f :poll} {:index 20, :type :ok, :process 0, :f :poll, :value [[:poll nil]]}]`)
		assert.EqualValues(t, 20, h.Index(0))
	})
	t.Run("what was to be committed: what was asked counts", func(t *testing.T) {
		h := read(t, `[{:type :invoke, :process 0, :f :commit, :value [[:commit 1 10] [:commit 2 20]]}
			{:type :info, :process 0, :f :commit, :value [[:commit 1 nil]]}]`)
		var op Op
		h.Read(0, &op)
		assert.Equal(t, []OffsetMop{{Kind: MopCommit, Key: 0, Offset: 10}, {Kind: MopCommit, Key: 1, Offset: 20, Silent: true}}, op.Offsets)
	})
	t.Run("the value of a record: that is a value", func(t *testing.T) {
		h := read(t, `[{:type :ok, :process 0, :f :txn, :value [[:send 1 [0 nil]] [:send 1 nil] [:poll {1 [[0 nil] [1 5]]}]]}]`)
		var op Op
		h.Read(0, &op)
		require.Len(t, op.Sends, 2)
		assert.True(t, h.ValueOf(op.Sends[0].Rec).IsNull())
		assert.Equal(t, []Polled{{Rec: 0, Offset: 0}, {Rec: 1, Offset: 1}}, op.Polled)
	})
	t.Run("everything", func(t *testing.T) {
		assert.Equal(t, 0, read(t, "").Len())
		assert.Equal(t, 0, read(t, "[]").Len())
	})
}

func TestJSONLines(t *testing.T) {
	h := read(t, `{"index":0,"type":"invoke","process":0,"client":"billing-1","f":"txn","value":[["poll"],["send",1,"p\"1"]],"time":5,"group":"billing","session":"b1-0"}
{"index":1,"type":"ok","process":0,"f":"txn","value":[["poll",{"1":[[3,"a"],[4,":k"]],"orders/0":[[0,8]]}],["send",1,[5,"p\"1"]],["commit","1",5]],"time":9,"group":"billing","session":"b1-0","generation":4,"extra":{"a":[1.5e3,null,true]}}
`)
	var op Op
	h.Read(0, &op)
	assert.Equal(t, "billing-1", h.Client(op.ProcessNo))
	assert.Equal(t, "billing", op.Group)
	assert.EqualValues(t, 4, op.Generation)
	assert.Equal(t, "b1-0", op.Session)
	assert.Equal(t, []Value{Int(1), Text("orders/0")}, h.Keys(), "1 and \"1\" are the same key")
	assert.Equal(t, Keyword("k"), h.ValueOf(op.Polled[1].Rec))
	assert.Equal(t, Text(`p"1`), h.ValueOf(op.Sends[0].Rec))
	assert.Equal(t, OffsetMop{Kind: MopCommit, Key: 0, Offset: 5}, op.Offsets[0])
}

// What there is in files that others write.
func TestOddFiles(t *testing.T) {
	for name, text := range map[string]string{
		"a mark before the text":                  "\xef\xbb\xbf" + `{"type":"ok","process":1,"f":"poll","value":[["poll",{}]]}`,
		"spaces about the colons":                 `[ { "type" : "ok" , "process" : 1 } ]`,
		"the ends of lines of Windows":            "{:type :ok, :process 1, :f :poll}\r\n",
		"keys that are strings, of EDN":           `{"type" :ok, "process" 1}`,
		"offsets as far as they go":               `{"type":"ok","process":1,"f":"poll","value":[["poll",{"x":[[9223372036854775807,-9223372036854775807]]}]]}`,
		"a value of a function that is not asked": `{:type :ok, :process 1, :value [[:x 1] {:y 2} [[]]], :f :debug-topics}`,
		"a list of lists":                         `({:type :ok, :process 1, :f :poll, :value ((:poll {:x ((0 1))}))})`,
		"tagged maps":                             `#jepsen.history.Op{:type :ok, :process 1, :f :poll}`,
		"metadata before a map":                   `^{:line 3} {:type :ok, :process 1, :f :poll}`,
		"partitions that are vectors":             `{:type :ok, :process 1, :f :poll, :value [[:poll {["orders" 0] [[0 1]], ["payments" 0] [[0 1]]}]]}`,
		"a set of partitions":                     `{:type :ok, :process 1, :f :assign, :value #{:x :y}}`,
		"a process with as large a number as any": `{:type :ok, :process 9223372036854775807, :f :poll}`,
		"time before the start":                   `{:type :ok, :process 1, :f :poll, :time -5}`,
		"nanoseconds of the year, as a float":     `{"type":"ok","process":1,"f":"poll","time":1.7e18}`,
		"a value smaller than any":                `{:type :ok, :process 1, :f :send, :value [[:send :x [0 -9223372036854775808]]]}`,
		"a function without value":                `{"type":"ok","process":1,"f":"poll","value":null}`,
		"a failure whose value is an error":       `{:type :fail, :process 1, :f :send, :value :timeout}`,
		"an object as a record's value":           `{"type":"invoke","process":1,"f":"send","value":[["send","x",{"id":1}]]}`,
	} {
		t.Run(name, func(t *testing.T) { assert.Equal(t, 1, read(t, text).Len()) })
	}
	h := read(t, `{"type":"ok","process":1,"f":"send","value":[["send","7",[0,1]],["send",7,[1,2]],["send","007",[0,1]]]}`)
	assert.Equal(t, []Value{Int(7), Text("007")}, h.Keys())

	long := strings.Repeat("long ", 100)
	for text, records := range map[string]int{
		`["send","x",[0,"\ud83d\ude00 \u00e9"]],["send","x",[0,"😀 é"]]`:                                                        1,
		`["send","x",[0,{"text":"` + long + `","id":1}]],["send","x",[1,{"text":"` + long + `","id":2}]]`:                      2,
		`["send","x",[0,12345678901234567890]],["send","x",[1,12345678901234567891]],["send","x",[0,12345678901234567890]]`:    2,
		`["send","orders/0",[0,"a"]],["send","payments/0",[0,"a"]]`:                                                            2,
		`["send","x",[0,"a",{"headers":{"a":"1","b":"2"}}]],["send","x",[0,"a",{"headers":[["a","1"],["b","2"]]}]]`:            1,
		`["send","x",[0,true]],["send","x",[1,"true"]],["send","x",[2,null]],["send","x",[3,"nil"]],["send","x",[4,"\u0000"]]`: 5,
	} {
		h := read(t, `{"type":"ok","process":1,"f":"send","value":[`+text+`]}`)
		assert.Equal(t, records, h.Records(), text)
	}
	var op Op
	read(t, `{"type":"ok","process":1,"f":"send","value":[["send","x",[0,"a",{"headers":{"b":"2","a":"1"}}]],["send","x",[0,"a",{"headers":{"a":"1","b":"2"}}]]]}`).Read(0, &op)
	assert.Equal(t, op.Sends[0].Details, op.Sends[1].Details, "a map has no order")
}

func TestGzip(t *testing.T) {
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	_, _ = z.Write([]byte(`[{:type :invoke, :process 0, :f :poll}]`))
	require.NoError(t, z.Close())
	h, err := Read("test", &zipped)
	require.NoError(t, err)
	assert.Equal(t, 1, h.Len())
}

func TestBrokenFiles(t *testing.T) {
	for _, c := range []struct{ text, message string }{
		{"[{:type :ok\n :process}]", "test:2:10: found }, expected a process"},
		{"[{:type :ok, :process 1]", "test:1:24: found ], expected } for the { at 1:2"},
		{"[{:type :ok, :process 1}", "test:1:25: found the end of the file, expected ] for the [ at 1:1"},
		{"[{:type :maybe, :process 1}]", "test:1:9: found :maybe, expected :invoke, :ok, :fail or :info"},
		{"[{:process 1}]", "test:1:2: found {, expected an operation with a :type"},
		{"\n[{:type :ok}]", "test:2:2: found {, expected an operation with a :process"},
		{"[7]", "test:1:2: found 7, expected an operation: a map"},
		{"hello", "test:1:1: found hello, expected an operation: a map"},
		{"[{:type :ok, :process 1, :value [[:sent 1 2]]}]", "test:1:35: found :sent, expected a micro-operation"},
		{"[{:type :ok, :process 1, :value [[:send 1 [x 2]]]}]", "test:1:44: found x, expected an offset, or nil"},
		{"[{:type :ok, :process 1, :value [[:poll {1 [[0 1] 5]}]]}]", "test:1:51: found 5, expected a record: [offset value]"},
		{"[{:type :ok, :process 1, :value [[:poll [1]]]}]", "test:1:41: found [, expected a map of keys to records"},
		{`[{:type :ok, :process 1, :error "x`, `test:1:33: found a string without end, expected its closing "`},
		{`[{:type :ok, :process 1, :error "\q"}]`, `found \q in a string`},
		{"[{:type :ok, :process 1, #_}]", "found }, expected a form to drop"},
		{"[] []", "test:1:4: found [, expected the end of the file"},
		{")", "test:1:1: found ), expected nothing to be closed"},
		{`{"type":"ok","process":1,"f":"poll` + "\n" + `{"type":"ok"}`, `test:1:30: found a string broken by the end of the line`},
		{`{"type":"ok","process":1,"time":"x"}`, `test:1:33: found "x", expected a time`},
		{`{"type":"ok",` + "\n" + `{"type":"ok","process":1}`, `test:2:1: found {, expected the name of a field: a string`},
		{`{"type":"ok","process":1 "f":"poll"}`, `test:1:26: found ", expected a comma before it`},
		{`{"type":"ok","process":1,"f":"poll","value":[["poll"],]}`, `test:1:55: found ], expected a value`},
		{`{"type":"ok","process":1,,"f":"poll"}`, `test:1:26: found ,, expected a value after the ,`},
		{`{"type":"ok","process":1,"f"}`, `test:1:29: found }, expected a value`},
		{`{"type":"ok","process":1,"f":nil}`, `test:1:30: found nil, expected JSON: an object`},
		{`{"type":"ok","process":1,"f":poll}`, `test:1:30: found poll, expected JSON: an object`},
		{`{"type":"ok","process":1,"value":[["poll",{"x" [[0,1]]}]]}`, `test:1:48: found [, expected a colon before it`},
		// What is not understood must not count as a poll that found nothing.
		{`{"type":"ok","process":1,"f":"poll","value":{"x":[[0,1]]}}`, `test:1:45: found {, expected a list of micro-operations`},
		{`{"type":"ok","process":1,"f":"poll","value":[{"topic":"x","offset":0,"value":"tea"}]}`, `test:1:46: found {, expected a list of micro-operations`},
		{`{"type":"ok","process":1,"value":"tea","f":"send"}`, `test:1:34: found "tea", expected a list of micro-operations`},
		{`{"type":"invoke","process":1,"f":"send","value":["x","tea"]}`, `test:1:50: found "x", expected a list of micro-operations`},
		{`{:type :ok, :process 1, :f :commit, :value {:x 5}}`, `test:1:44: found {, expected a list of micro-operations`},
		// Two operations of one process at once.
		{`{"type":"invoke","process":1,"f":"send","value":[["send","x","tea"]]}` + "\n" + `{"type":"invoke","process":1,"f":"send","value":[["send","x","milk"]]}` + "\n" +
			`{"type":"ok","process":1,"f":"send","value":[["send","x",[0,"tea"]]]}`, `test:3: found that process 1 sent tea, but what it has under way sends milk`},
		{`{"type":"invoke","process":1,"f":"send","value":[["send","x","7"]]}` + "\n" + `{"type":"ok","process":1,"f":"send","value":[["send","x",[0,7]]]}`,
			"expected a process to do one thing at a time, and values as they were asked for"},
		{"{:type :ok, :process 1, :time -5}\n{:type :ok, :process 1, :time -6}", "test:2: found an event at -6ns behind one at -5ns in line 1"},
	} {
		_, err := Read("test", strings.NewReader(c.text))
		if assert.Error(t, err, c.text) {
			assert.Contains(t, err.Error(), c.message, c.text)
		}
	}
	_, err := ReadFile("no such file")
	assert.Error(t, err)
}

// Every history survives being written and read, in both formats.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := New()
		value := rapid.Custom(func(t *rapid.T) Value {
			switch rapid.IntRange(0, 3).Draw(t, "kind") {
			case 3:
				return Null()
			case 0:
				return Int(rapid.Int64().Draw(t, "n") >> 5)
			case 1:
				return Keyword(rapid.StringMatching(`[a-z][a-z0-9/-]*`).Draw(t, "keyword"))
			}
			return Text("s" + rapid.String().Draw(t, "text"))
		})
		key := rapid.SampledFrom([]Value{Int(1), Keyword("x"), Text("orders/0")})
		offset := rapid.Int64Range(-1, 1<<50)
		attributes := rapid.Custom(func(t *rapid.T) (a Attributes) {
			if rapid.IntRange(0, 3).Draw(t, "has") > 0 {
				return a
			}
			a.LeaderEpoch, a.Timestamp = At(rapid.Int64Range(-1, 9).Draw(t, "epoch")), At(rapid.Int64Range(-1, 1<<40).Draw(t, "timestamp"))
			a.RecordKey = rapid.SampledFrom([]Value{{}, Null(), Text("k")}).Draw(t, "record key")
			a.Headers = rapid.SampledFrom([][]Header{nil, {}, {{"a", "b"}, {"a", ""}}}).Draw(t, "headers")
			return a
		})
		mop := rapid.Custom(func(t *rapid.T) Mop {
			m := Mop{Kind: MopKind(rapid.IntRange(0, int(MopPosition)).Draw(t, "mop")), Key: key.Draw(t, "key")}
			if m.Kind == MopPoll {
				k := key.Draw(t, "of")
				for range rapid.IntRange(0, 3).Draw(t, "records") {
					m.Records = append(m.Records, Record{k, At(offset.Draw(t, "at")), value.Draw(t, "value"), attributes.Draw(t, "told")})
				}
				return m
			}
			m.Value, m.Offset = value.Draw(t, "value"), At(offset.Draw(t, "offset"))
			if m.Kind == MopSend {
				m.Attributes = attributes.Draw(t, "told")
			}
			return m
		})
		for range rapid.IntRange(0, 20).Draw(t, "events") {
			e := Event{
				Type: Type(rapid.IntRange(0, 3).Draw(t, "type")), Process: rapid.Int64Range(0, 3).Draw(t, "process"),
				F: F(rapid.SampledFrom([]int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, int(Seek)}).Draw(t, "f")), Time: 5, Group: rapid.SampledFrom([]string{"", "g"}).Draw(t, "group"),
				Member:   rapid.SampledFrom([]string{"", "m-1"}).Draw(t, "member"),
				Instance: rapid.SampledFrom([]string{"", "till-1"}).Draw(t, "instance"),
			}
			if e.F == Assign || e.F == Subscribe || e.F == Seek || e.F.OfListener() {
				e.Keys = rapid.SliceOfN(key, 0, 2).Draw(t, "assigned")
			} else {
				e.Mops = rapid.SliceOfN(mop, 0, 3).Draw(t, "mops")
			}
			if !mistakes(h, &e) {
				h.Add(&e)
			}
		}
		for _, format := range []Format{EDN, JSON} {
			once := write(t, h, format)
			if again := write(t, read(t, once), format); strings.Count(once, "\n") == h.Events() && !headless(h) {
				assert.Equal(t, once, again)
			}
		}
		if !headless(h) {
			assert.Equal(t, write(t, h, EDN), write(t, read(t, write(t, h, JSON)), EDN), "by way of JSON")
		}
	})
}

// mistakes: the event would complete an operation of which it tells nothing.
func mistakes(h *History, e *Event) bool {
	r := raw{client: e.Process != NoProcess, process: e.Process, typ: e.Type, f: e.F}
	for i := range e.Mops {
		h.addMop(&r, &e.Mops[i])
	}
	_, _, is := h.mistaken(&r)
	return is
}

// headless: a completion without an invocation is written as one, and read so.
func headless(h *History) bool {
	for i := range h.rows.n {
		if h.rows.at(i).bits&isHeadless != 0 {
			return true
		}
	}
	return false
}

func TestTheCorpusSurvivesRewriting(t *testing.T) {
	files, err := filepath.Glob("../testdata/corpus/*.edn*")
	require.NoError(t, err)
	require.Len(t, files, 65)
	for _, file := range files {
		h, err := ReadFile(file)
		require.NoError(t, err)
		once := write(t, h, EDN)
		assert.Equal(t, once, write(t, read(t, once), EDN), file)
		assert.Equal(t, once, write(t, read(t, write(t, h, JSON)), EDN), file)
	}
}

func TestManyValues(t *testing.T) {
	h := New()
	for i := range int64(100_000) {
		h.Add(&Event{Process: i % 7, Type: Type(i / 7 % 2), F: Send, Mops: []Mop{{Kind: MopSend, Key: Int(i % 3), Value: Text(Int(i / 14).String()), Offset: At(i)}}})
	}
	rec, ok := h.FindRec(Int(0), Text("0"))
	require.True(t, ok)
	assert.Equal(t, "0", h.ValueOf(rec).String())
	_, ok = h.FindRec(Int(0), Text("none"))
	assert.False(t, ok)
}
