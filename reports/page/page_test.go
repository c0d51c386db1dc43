package page

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"io"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

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
	API string `json:"api"`
}

var (
	cutKind  = ledger.Declare[cut]("truncated", "a replica cut the end off its log", ledger.Notable)
	sentKind = ledger.Declare[sent]("request-sent", "a client sends a request", ledger.Traffic)
)

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
			{At: time.Second, Host: "broker-2", Event: &sent{"Fetch"}},
			{At: at - time.Millisecond, Host: "broker-2", Event: &sent{"Fetch"}},
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

// What is packed: events with their times since the one before, hosts and kinds by
// number; a message only if it is near a step.
func TestPage_Packed(t *testing.T) {
	data := regexp.MustCompile(`id="data" hidden>([^<]*)<`).FindStringSubmatch(written(t, page()))
	require.Len(t, data, 2)
	zipped, err := base64.StdEncoding.DecodeString(data[1])
	require.NoError(t, err)
	z, err := gzip.NewReader(bytes.NewReader(zipped))
	require.NoError(t, err)
	text, err := io.ReadAll(z)
	require.NoError(t, err)
	var got struct {
		Format string
		Hosts  []string
		Kinds  []string
		Events [][]any
		Left   map[string]int
		End    int64
		Story  reports.Violation
	}
	require.NoError(t, json.Unmarshal(text, &got))
	assert.Equal(t, []string{"broker-2", "broker-1"}, got.Hosts)
	assert.Equal(t, []string{"request-sent", "truncated"}, got.Kinds)
	assert.Equal(t, [][]any{
		{4.999e9, 0.0, 0.0, map[string]any{"api": "Fetch"}},
		{1e6, 1.0, 1.0, map[string]any{"partition": nasty, "from": 266.0, "to": 264.0}, "truncates " + nasty},
	}, got.Events)
	assert.Equal(t, map[string]int{"request-sent": 1}, got.Left)
	assert.Equal(t, int64(6e9), got.End)
	assert.Equal(t, "orders/0", got.Story.Subject)
}
