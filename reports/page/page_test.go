package page

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ktrial/ktrial/internal/browser"
	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/reports"
)

// cut is an event of the tests.
type cut struct {
	Partition string `json:"partition"`
	From      int    `json:"from"`
	To        int    `json:"to"`
}

// sent is one that only concerns the network.
type sent struct {
	API    string `json:"api"`
	Client string `json:"client_addr"`
	Server string `json:"server_addr"`
	Number int    `json:"correlation_id"`
}

// Those that are packed in columns, by the names of their fields.
type (
	grown struct {
		Node      int    `json:"node"`
		Partition string `json:"partition"`
		From      int    `json:"from"`
		End       int    `json:"end"`
		Epoch     int    `json:"epoch"`
	}
	op struct {
		Index    int    `json:"op"`
		Process  int    `json:"process"`
		Client   string `json:"client"`
		Function string `json:"f"`
	}
	sentRecord struct {
		Partition string `json:"partition"`
		Value     string `json:"value"`
		Offset    int    `json:"offset"`
		Epoch     int    `json:"epoch"`
	}
	invoked struct {
		op
		Sends []sentRecord `json:"sends"`
	}
	completed struct {
		op
		Outcome string       `json:"outcome"`
		Error   string       `json:"error"`
		Sends   []sentRecord `json:"sends"`
		Polled  []struct{}   `json:"polled"`
		Marks   []struct{}   `json:"marks"`
	}
)

var (
	cutKind  = ledger.Declare[cut]("truncated", "a replica cut the end off its log", ledger.Notable)
	sentKind = ledger.Declare[sent]("request-sent", "a client sends a request", ledger.Traffic)

	grownKind     = ledger.Declare[grown]("appended", "a log grows", ledger.Detail)
	invokedKind   = ledger.Declare[invoked]("operation-invoked", "a client begins", ledger.Traffic)
	completedKind = ledger.Declare[completed]("operation-completed", "a client ends", ledger.Traffic)
)

func (e *grown) Kind() *ledger.Kind     { return grownKind }
func (e *grown) Sentence() string       { return "appends" }
func (e *invoked) Kind() *ledger.Kind   { return invokedKind }
func (e *invoked) Sentence() string     { return "begins" }
func (e *completed) Kind() *ledger.Kind { return completedKind }
func (e *completed) Sentence() string   { return "ends" }

func (e *cut) Kind() *ledger.Kind  { return cutKind }
func (e *cut) Sentence() string    { return "truncates " + e.Partition }
func (e *sent) Kind() *ledger.Kind { return sentKind }
func (e *sent) Sentence() string   { return "sends " + e.API }

// nasty closes a script and an attribute, if it is let.
const nasty = `</script><b onload="x">&amp;`

func page() Page {
	at := 5 * time.Second
	return Page{
		Run: &reports.Run{
			Scenario: "ping-pong", Seed: 7, Verdict: reports.Violated, VirtualSeconds: 6,
			Violations: []reports.Violation{{Check: "law 23", Message: nasty, Subject: "orders/0", At: reports.Seconds(at),
				Story: []reports.Moment{{At: reports.Seconds(at), Who: "broker-1", What: nasty}}}},
		},
		About: "a test",
		Events: slices.Values([]*ledger.Entry{
			{At: time.Second, Host: "broker-2", Event: &sent{"Fetch", "broker-1:9", "broker-1:8", 1}},
			{At: at - time.Millisecond, Host: "broker-2", Event: &sent{"Fetch", "broker-1:9", "broker-1:8", 2}},
			{At: at - time.Millisecond, Host: "broker-2", Event: &sent{"Fetch", "broker-1:9", "broker-2:8", 3}},
			{At: at, Host: "broker-1", Event: &cut{nasty, 266, 264}},
		}),
	}
}

func written(t *testing.T, p Page) string {
	var b bytes.Buffer
	require.NoError(t, p.Write(&b))
	return b.String()
}

// The same run gives the same bytes, and nothing in it ends the page or loads
// anything.
func TestPage_IsOneFile(t *testing.T) {
	text := written(t, page())
	assert.Equal(t, text, written(t, page()))
	assert.NotContains(t, text, nasty)
	assert.Equal(t, 1, len(regexp.MustCompile("</script>").FindAllString(text, -1)))
	assert.NotRegexp(t, `(src|href)="?(https?:)?//|import |fetch\(|XMLHttpRequest`, text)
	assert.Contains(t, text, "default-src 'none'")
	assert.Contains(t, text, "<li>5s broker-1 &lt;/script&gt;", "without script there are the steps")
}

// unpacked is what a page holds when it is written.
func unpacked(t *testing.T, p Page) held { return unpackedText(t, written(t, p)) }

type held struct {
	Format     string
	Hosts      []string
	Kinds      []string
	Texts      []string
	T, H, K    []int64
	Columns    map[string]map[string][]int64
	Rest       [][]any
	Operations struct {
		Op, Done, From, Took, F []int64
		Sends                   struct {
			N      []int64
			Values []string
		}
		EmptyPolls int `json:"empty_polls"`
	}
	Left  map[string]int
	End   int64
	Story reports.Violation
}

func unpackedText(t *testing.T, text string) (got held) {
	data := regexp.MustCompile(`id="data" hidden>([^<]*)<`).FindStringSubmatch(text)
	require.Len(t, data, 2)
	zipped, err := base64.StdEncoding.DecodeString(data[1])
	require.NoError(t, err)
	z, err := gzip.NewReader(bytes.NewReader(zipped))
	require.NoError(t, err)
	plain, err := io.ReadAll(z)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(plain, &got))
	return got
}

// What is packed: events with their times since the one before, hosts and kinds by
// number; a message only if it is between hosts of the story and near a step.
func TestPage_Packed(t *testing.T) {
	got := unpacked(t, page())
	assert.Equal(t, format, got.Format)
	assert.Equal(t, []string{"broker-2", "broker-1"}, got.Hosts)
	assert.Equal(t, []string{"request-sent", "truncated"}, got.Kinds)
	assert.Equal(t, []int64{4.999e9, 1e6}, got.T)
	assert.Equal(t, []int64{0, 1}, got.H)
	assert.Equal(t, [][]any{
		{map[string]any{"api": "Fetch", "client_addr": "broker-1:9", "server_addr": "broker-1:8", "correlation_id": 2.0}},
		{map[string]any{"partition": nasty, "from": 266.0, "to": 264.0}, "truncates " + nasty},
	}, got.Rest)
	assert.Equal(t, map[string]int{"request-sent": 2}, got.Left)
	assert.Equal(t, int64(6e9), got.End)
	assert.Equal(t, "orders/0", got.Story.Subject)
}

// The frequent kinds stand in columns. A log's end is told as a difference to where it
// was, and a poll that gave nothing is only counted.
func TestPage_PacksFrequentEventsInColumns(t *testing.T) {
	at := func(ms int, host string, e ledger.Event) *ledger.Entry {
		return &ledger.Entry{At: time.Duration(ms) * time.Millisecond, Host: host, Event: e}
	}
	p := Page{Run: &reports.Run{Verdict: reports.Holds, VirtualSeconds: 1}, Events: slices.Values([]*ledger.Entry{
		at(1, "client", &invoked{op{1, 7, "client", "send"}, []sentRecord{{"orders/0", "v-1@orders/0", -1, -1}}}),
		at(2, "broker-1", &grown{1, "orders/0", 0, 3, 5}),
		at(3, "broker-2", &grown{2, "orders/0", 0, 3, 5}),
		at(4, "broker-1", &grown{1, "orders/0", 3, 4, 6}),
		at(5, "client", &completed{op{2, 7, "client", "send"}, "ok", "", []sentRecord{{"orders/0", "v-1@orders/0", 3, 6}}, nil, nil}),
		at(6, "client", &invoked{op{3, 7, "client", "poll"}, nil}),
		at(7, "client", &completed{op{4, 7, "client", "poll"}, "ok", "", nil, nil, nil}),
		at(8, "client", &invoked{op{5, 7, "client", "poll"}, nil}),
	})}
	got := unpacked(t, p)
	assert.Empty(t, got.Rest)
	assert.Equal(t, map[string][]int64{"node": {1, 2, 1}, "partition": {0, 0, 0}, "from": {0, 0, 0}, "end": {3, 3, 1}, "epoch": {5, 5, 6}}, got.Columns["appended"])
	assert.Equal(t, []int64{2e6, 1e6, 1e6}, got.T)
	o := got.Operations
	assert.Equal(t, 1, o.EmptyPolls)
	assert.Equal(t, []int64{1, 4}, o.Op, "5 is 4 after 1")
	assert.Equal(t, []int64{1, -1}, o.Done)
	assert.Equal(t, []int64{1e6, 7e6}, o.From)
	assert.Equal(t, []int64{4e6, -1}, o.Took, "the last one never ended")
	assert.Equal(t, []int64{1, 0}, o.Sends.N)
	assert.Equal(t, []string{"v-1"}, o.Sends.Values, "its partition is known")
}

// A value that would end the page, and a topic with the longest name, break nothing.
func TestPage_OddNames(t *testing.T) {
	program := browser.Find()
	if program == "" {
		t.Skip("there is no Chromium on this machine, so no page is looked at (apt install chromium)")
	}
	b, err := browser.Start(program)
	require.NoError(t, err)
	defer b.Close()
	longest := strings.Repeat("t", 249) + "/0"
	p := page()
	p.Run.Violations[0].Why = &reports.Why{What: nasty, Because: nasty, Partition: longest, Steps: []reports.Step{
		{At: reports.Seconds(time.Second), Host: nasty, Kind: reports.Cut, Text: nasty, Lane: "replica"},
	}}
	p.Run.Config = map[string]string{nasty: nasty}
	p.Events = slices.Values([]*ledger.Entry{
		{At: time.Second, Host: nasty, Event: &grown{1, longest, 0, 3, 5}},
		{At: time.Second, Host: nasty, Event: &cut{longest, 3, 1}},
		{At: time.Second, Host: nasty, Event: &invoked{op{1, 7, nasty, "send"}, []sentRecord{{longest, nasty, -1, -1}}}},
	})
	file := filepath.Join(t.TempDir(), "report.html")
	require.NoError(t, os.WriteFile(file, []byte(written(t, p)), 0o644))
	tab, err := b.Open("file://"+file, 1000, 800)
	require.NoError(t, err)
	require.NoError(t, tab.WaitFor(`document.documentElement.dataset.ready === "yes"`))
	assert.Empty(t, tab.Errors())
	var strange int
	require.NoError(t, tab.Eval(`document.querySelectorAll("b[onload]").length`, &strange))
	assert.Zero(t, strange, "no value becomes an element")
	var width int
	require.NoError(t, tab.Eval(`document.documentElement.scrollWidth`, &width))
	assert.LessOrEqual(t, width, 1000)
	var text string
	require.NoError(t, tab.Eval(`document.getElementById("card").textContent`, &text))
	assert.Contains(t, text, nasty)
}

// A page of very many events stays small: far from the story fewer points of lines and
// operations are packed, the page counts them, and what decides is never left out.
func TestPage_StaysSmall(t *testing.T) {
	const events = 700_000
	long := func(n, each int) iter.Seq[*ledger.Entry] {
		return func(yield func(*ledger.Entry) bool) {
			luck := rand.New(rand.NewPCG(1, 2))
			at, ends := time.Duration(0), [6]int{}
			for i := range n {
				at += time.Duration(luck.Int64N(400_000))
				replica := luck.IntN(6)
				host, partition := fmt.Sprintf("broker-%d", replica%3+1), fmt.Sprintf("orders/%d", replica/3)
				var e ledger.Event
				switch grows := luck.IntN(4); {
				case i%each == 0:
					e = &cut{partition, ends[replica], ends[replica]}
				case i%2 == 0:
					e = &completed{op{i, i % 50, "client", "send"}, "ok", "", []sentRecord{{partition, fmt.Sprintf("p%d-0-%d@%s", i%7, i, partition), ends[replica], 0}}, nil, nil}
				default:
					e = &grown{replica%3 + 1, partition, ends[replica], ends[replica] + grows, 0}
					ends[replica] += grows
				}
				if !yield(&ledger.Entry{At: at, Host: host, Event: e}) {
					return
				}
			}
		}
	}
	text := written(t, Page{Run: &reports.Run{Verdict: reports.Holds}, Events: long(events, 1000)})
	assert.Less(t, len(text), 5<<20)
	got := unpackedText(t, text)
	assert.Greater(t, got.Left["appended"], events/4, "it says how many are left out")
	cuts := 0
	for _, k := range got.K {
		if got.Kinds[k] == "truncated" {
			cuts++
		}
	}
	assert.Equal(t, events/1000, cuts, "all of them")
}
