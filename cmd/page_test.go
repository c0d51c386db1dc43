package cmd

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ktrial/ktrial/internal/browser"
)

// The page of a run is looked at as a person does: in a browser, without a network,
// with the keyboard.

// shown is a browser with the page of a run.
type shown struct {
	*browser.Tab
	t   *testing.T
	url string
}

func TestPage(t *testing.T) {
	skipIfShort(t)
	t.Parallel()
	program := browser.Find()
	if program == "" {
		t.Skip("there is no Chromium on this machine, so no page is looked at (apt install chromium)")
	}
	b, err := browser.Start(program)
	require.NoError(t, err)
	t.Cleanup(b.Close)
	lost := kept(t, "leadership-ping-pong", "--seed", "1", "--plant", "repl.truncate_to_hw") // committed records
	t.Run("tells a lost record", func(t *testing.T) { tellsALostRecord(t, pageOf(t, b, lost, 1440)) })
	t.Run("is used by keyboard", func(t *testing.T) { isUsedByKeyboard(t, pageOf(t, b, lost, 1280)) })
	t.Run("is drawn in full when the window rests", func(t *testing.T) { restsInFull(t, pageOf(t, b, lost, 1280)) })
	t.Run("fits the screen", func(t *testing.T) { fitsTheScreen(t, pageOf(t, b, lost, 1440), 390, 480, 1000, 1280, 1440, 2560, 390) })
	for _, c := range kinds {
		t.Run("tells "+c.kind, func(t *testing.T) {
			if c.long && !*long {
				t.Skip("one more kind of failure: -long")
			}
			s := pageOf(t, b, kept(t, c.run...), 1440)
			tellsAKind(t, s, c.says)
			fitsTheScreen(t, s, 390, 1280)
		})
	}
	t.Run("compares two runs", func(t *testing.T) {
		out := filepath.Join(t.TempDir(), "both")
		require.Zero(t, apart(t, "compare", "standard", "--seed", "3", "--no-faults", "--set", "duration=2s", "--set", "acks=all", "--set", "acks=1", "--set", "enable.idempotence=false", "--out", out).code)
		comparesTwoRuns(t, pageAt(t, b, filepath.Join(out, "compare.html"), 1440))
	})
	t.Run("of a large run", func(t *testing.T) {
		if !*long {
			t.Skip("a large run: -long")
		}
		ofALargeRun(t, pageOf(t, b, kept(t, "acks-one", "--seed", "1"), 1440))
	})
}

// kept plays a run and is the directory that it is kept in.
func kept(t *testing.T, run ...string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "run")
	require.Less(t, apart(t, append(append([]string{"run"}, run...), "--out", dir)...).code, exitUsage)
	return dir
}

// pageOf opens the page of a run that was kept.
func pageOf(t *testing.T, b *browser.Browser, dir string, width int) shown {
	t.Helper()
	return pageAt(t, b, filepath.Join(dir, "report.html"), width)
}

func pageAt(t *testing.T, b *browser.Browser, file string, width int) shown {
	t.Helper()
	s := shown{t: t, url: "file://" + file}
	var err error
	s.Tab, err = b.Open(s.url, width, 900)
	require.NoError(t, err)
	s.ready()
	return s
}

func (s shown) ready() {
	s.t.Helper()
	require.NoError(s.t, s.WaitFor(`document.documentElement.dataset.ready === "yes"`))
}

// value evaluates JavaScript.
func value[T any](s shown, script string, args ...any) (v T) {
	s.t.Helper()
	require.NoError(s.t, s.Eval(fmt.Sprintf(script, args...), &v), script)
	return v
}

func (s shown) press(keys ...string) {
	s.t.Helper()
	for _, key := range keys {
		require.NoError(s.t, s.Press(key))
	}
}

func tellsALostRecord(t *testing.T, s shown) {
	t.Run("asks for nothing and complains of nothing", func(t *testing.T) {
		assert.Empty(t, s.Errors())
		assert.Equal(t, []string{s.url}, s.Requests())
		assert.Zero(t, value[int](s, `performance.getEntriesByType("resource").length`))
	})
	t.Run("each step of the verdict leads to a visible mark", func(t *testing.T) {
		type mark struct {
			N       int
			X, Y    float64
			Lane    string
			Visible bool
		}
		marks := value[[]mark](s, `main.steps.map((step) => {
			document.querySelector('.steps [data-step="' + step.n + '"]').click();
			const badge = document.querySelector('#path [data-step="' + step.n + '"] circle').getBoundingClientRect();
			const x = badge.x + badge.width / 2, y = badge.y + badge.height / 2;
			const lane = [...document.querySelectorAll(".lane")].findIndex((l) => { const b = l.getBoundingClientRect(); return y >= b.top - 1 && y <= b.bottom + 1; });
			const picture = document.getElementById("lanes").getBoundingClientRect();
			return { N: step.n, X: x, Y: y, Lane: lane < 0 ? "" : main.laneList[lane].id, Visible: x > picture.left && x < picture.right && main.view.step === step.n };
		})`)
		require.GreaterOrEqual(t, len(marks), 8)
		for i, m := range marks {
			assert.True(t, m.Visible, "step %d", m.N)
			assert.NotEmpty(t, m.Lane, "step %d", m.N)
			if i > 0 {
				assert.GreaterOrEqual(t, m.X, marks[i-1].X, "badges go on in time")
			}
		}
		assert.Equal(t, "replica-broker-1", marks[len(marks)-1].Lane, "the last one lies in the lane of the replica that was cut")
		assert.Equal(t, len(marks), value[int](s, `document.querySelectorAll("#card .steps li").length`))
		assert.Equal(t, len(marks), value[int](s, `document.querySelectorAll("#path .badge").length`))
	})
	t.Run("says what and why", func(t *testing.T) {
		card := value[string](s, `document.getElementById("card").innerText`)
		for _, words := range []string{"Offsets 264 and 265 of orders/0 were acknowledged and read", "broker-1 cut at its own high watermark (264)", "law 23", "--plant repl.truncate_to_hw"} {
			assert.Contains(t, card, words)
		}
		assert.Equal(t, "knows high watermark 264; true: 266", value[string](s, `document.querySelector(".remark text").textContent`))
		state := value[string](s, `(main.goToStep(main.steps.length), document.getElementById("state").innerText)`)
		assert.Contains(t, state, "264 ✂ was 266")
		assert.Contains(t, state, "faults now: slow controller-1+controller-2+controller-3 to broker-2 by 60ms; move leader of orders/0 every 300ms")
		assert.Contains(t, state, "Topic: orders\tPartition: 0\tLeader: 3\tReplicas: 3,2,1\tIsr: 2,3,1\tElr: \tLastKnownElr: ")
	})
	t.Run("time has an inverse in each scale", func(t *testing.T) {
		for _, mode := range []string{"linear", "folded", "steps"} {
			worst := value[float64](s, `(() => {
				const v = main.view, scale = new Scale(%q, v.from, v.to, landmarksOf(main.state, main.steps, v.focus, main.lanes.record), 0, 900, main.steps.map((s) => s.t));
				let worst = 0;
				for (let i = 0; i <= 1000; i++) worst = Math.max(worst, Math.abs(scale.x(scale.inverse(i * 0.9)) - i * 0.9));
				let last = -1;
				for (let i = 0; i <= 5000; i++) { const x = scale.x(v.from + (v.to - v.from) * i / 5000); if (x < last) return 1e9; last = x; }
				return worst;
			})()`, mode)
			assert.Less(t, worst, 0.01, mode)
		}
	})
	t.Run("the state at a time is that of a reader from the beginning", func(t *testing.T) { readsTheSameState(t, s, 100) })
	t.Run("each lane has a label, and colour is never the only sign", func(t *testing.T) {
		assert.Zero(t, value[int](s, `[...document.querySelectorAll(".lane svg")].filter((l) => l.getAttribute("role") !== "img" || l.getAttribute("aria-label").length < 5).length`))
		lanes := value[string](s, `document.getElementById("lanes").textContent`)
		for _, sign := range []string{"★ LEADER epoch", "follows 2 epoch 0", "✂ CUT 266→264", "still here ▸"} {
			assert.Contains(t, lanes, sign)
		}
		assert.Equal(t, []string{"", "10px, 5px", "1px, 4px"}, value[[]string](s, `["in-isr", "in-elr", "out-of-isr"].map((c) => {
			const l = document.createElementNS("http://www.w3.org/2000/svg", "line"); l.setAttribute("class", c); document.getElementById("path").append(l);
			const dash = getComputedStyle(l).strokeDasharray; l.remove(); return dash === "none" ? "" : dash; })`))
	})
	t.Run("it is understood in grey", func(t *testing.T) { readsInGrey(t, s) })
	t.Run("text can be read in both themes", func(t *testing.T) {
		for _, theme := range []string{"light", "dark"} {
			poor := value[[]string](s, `(() => {
				document.documentElement.dataset.theme = %q;
				const style = getComputedStyle(document.documentElement), color = (name) => {
					const d = document.createElement("div"); d.style.color = style.getPropertyValue(name); document.body.append(d);
					const rgb = getComputedStyle(d).color.match(/[\d.]+/g).slice(0, 3).map((v) => { v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; });
					d.remove();
					return 0.2126 * rgb[0] + 0.7152 * rgb[1] + 0.0722 * rgb[2];
				};
				const pairs = [["--ink", "--commit"], ["--ink", "--bad-fill"], ["--lso", "--paper"], ["--ink", "--paper"], ["--faint", "--paper"], ["--faint", "--raised"], ["--on-leader", "--leader"], ["--on-follower", "--follower"], ["--ink", "--fault-fill"], ["--bad", "--paper"],
					["--ink", "--bad-fill"], ["--bad", "--bad-fill"], ["--hw", "--paper"], ["--paper", "--cursor"], ["--paper", "--good"], ["--paper", "--bad"]];
				return pairs.map(([a, b]) => { const [x, y] = [color(a), color(b)].sort((p, q) => q - p); return [a, b, (x + 0.05) / (y + 0.05)]; }).filter((p) => p[2] < 4.5).map((p) => p.join(" "));
			})()`, theme)
			assert.Empty(t, poor, theme)
		}
	})
}

// readsTheSameState: what the page says of a time does not depend on what came later.
func readsTheSameState(t *testing.T, s shown, times int) {
	t.Helper()
	assert.Empty(t, value[[]string](s, `(() => {
		const wrong = [];
		let seed = 7;
		for (let i = 0; i < %d; i++) {
			seed = (seed * 1103515245 + 12345) %% 2147483648;
			const t = Math.round(seed / 2147483648 * main.run.end), young = new Reducer(main.run.end, main.state.quorum);
			for (const e of main.run.events) if (e.t <= t) young.add(e);
			const other = new Card(main.run, young, main.steps).stateAt(t, main.view.focus);
			if (other !== main.card.stateAt(t, main.view.focus)) wrong.push(t + "");
		}
		return wrong;
	})()`, times))
}

// readsInGrey: without colours a leader, a follower, a log that is gone and a fault still
// differ, by their lightness or by a pattern.
func readsInGrey(t *testing.T, s shown) {
	for _, theme := range []string{"light", "dark"} {
		alike := value[[]string](s, `(() => {
			document.documentElement.dataset.theme = %q;
			const svg = document.querySelector(".lane svg"), made = (cls) => {
				const r = document.createElementNS("http://www.w3.org/2000/svg", "rect"); r.setAttribute("class", cls); svg.append(r);
				const style = getComputedStyle(r), fill = style.fill, dash = style.strokeDasharray; r.remove();
				const rgb = (fill.match(/[\d.]+/g) || []).slice(0, 3).map((v) => { v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; });
				return fill.startsWith("url") ? { pattern: fill + dash } : { light: 0.2126 * rgb[0] + 0.7152 * rgb[1] + 0.0722 * rgb[2], pattern: dash };
			};
			const looks = Object.fromEntries(["leader", "follower", "down", "gone", "fault", "txn open", "span none"].map((c) => [c, made(c)])), alike = [];
			const pairs = [["leader", "follower"], ["leader", "down"], ["follower", "down"], ["follower", "gone"], ["down", "gone"], ["fault", "down"], ["fault", "gone"], ["txn open", "span none"]];
			for (const [a, b] of pairs) {
				const x = looks[a], y = looks[b];
				const apart = x.light !== undefined && y.light !== undefined ? (Math.max(x.light, y.light) + 0.05) / (Math.min(x.light, y.light) + 0.05) : 1;
				if (x.pattern === y.pattern && apart < 1.5) alike.push(a + " and " + b);
			}
			return alike;
		})()`, theme)
		assert.Empty(t, alike, theme)
	}
}

func isUsedByKeyboard(t *testing.T, s shown) {
	hash := func() string { return value[string](s, `location.hash`) }

	s.press("]")
	assert.Equal(t, 1, value[int](s, `main.view.step`))
	require.NoError(t, s.WaitFor(`location.hash.includes("c=" + main.steps[0].t)`))
	lanes := value[string](s, `document.getElementById("lanes").innerHTML`)
	require.NoError(t, s.Go("about:blank"))
	require.NoError(t, s.WaitFor(`location.href === "about:blank"`))
	require.NoError(t, s.Go(s.url))
	s.ready()
	s.press("]")
	require.NoError(t, s.WaitFor(`location.hash.includes("c=" + main.steps[0].t)`))
	address := hash()
	require.NoError(t, s.Go("about:blank"))
	require.NoError(t, s.WaitFor(`location.href === "about:blank"`))
	require.NoError(t, s.Go(s.url+address))
	s.ready()
	assert.True(t, strings.ReplaceAll(lanes, " chosen", "") == strings.ReplaceAll(value[string](s, `document.getElementById("lanes").innerHTML`), " chosen", ""), "the address gives the same picture")

	s.press("/")
	for _, c := range "truncates broker-1 -law" {
		s.press(string(c))
	}
	assert.Equal(t, []string{"truncates orders/0 from 266 to 264, epoch 1, leader 3"}, value[[]string](s, `[...document.querySelectorAll("#events tr td:last-child")].map((td) => td.textContent)`))
	s.press("Escape")
	assert.Equal(t, "BODY", value[string](s, `document.activeElement.tagName`))
	s.press("?")
	assert.True(t, value[bool](s, `document.getElementById("help").open`))
	s.press("Escape")
	require.NoError(t, s.WaitFor(`!document.getElementById("help").open`))
	s.press("l")
	assert.Equal(t, "linear", value[string](s, `main.view.mode`))
	s.press("l", "l", "p")
	assert.Equal(t, "orders/1", value[string](s, `main.view.focus`))

	s.press("a")
	require.NoError(t, s.Eval(`document.activeElement.blur()`, nil))
	stops := 0
	for first := ""; stops < 200; stops++ {
		s.press("Tab")
		at := value[string](s, `document.activeElement === document.body ? "" : document.activeElement.outerHTML.slice(0, 60)`)
		if at == "" || at == first {
			break
		}
		if first == "" {
			first = at
		}
	}
	assert.Greater(t, stops, 10)
	assert.Less(t, stops, 200)

	require.NoError(t, s.Go("about:blank"))
	require.NoError(t, s.WaitFor(`location.href === "about:blank"`))
	require.NoError(t, s.Go(s.url+"#zz=9&s=linear"))
	s.ready()
	assert.Contains(t, value[string](s, `document.getElementById("said").textContent`), "zz=9")
	assert.Equal(t, "linear", value[string](s, `main.view.mode`), "the rest applies")
	assert.Empty(t, s.Errors())
}

// While the window moves, what is pointed at has no title, and what is out of sight waits; the steps move along.
func restsInFull(t *testing.T, s shown) {
	const titles = `document.querySelectorAll("#lanes .lane svg title").length`
	still := value[int](s, titles)
	moving := value[[]int](s, `(main.pan(30), [[...document.querySelectorAll("#lanes .lane")].filter((l) => l.getBoundingClientRect().bottom < innerHeight).flatMap((l) => [...l.querySelectorAll("svg g title")]).length,
		document.querySelectorAll("#path .badge").length, document.querySelectorAll("#lanes .lane svg text").length])`)
	assert.Equal(t, []int{0, value[int](s, `main.steps.filter((x) => main.anchors[x.n] && main.anchors[x.n].x >= 0 && main.anchors[x.n].x <= main.scale.right).length`)}, moving[:2])
	assert.Positive(t, moving[2])
	require.NoError(t, s.WaitFor(fmt.Sprintf(`main.scale.moving === false && %s > %d`, titles, still/2)))
	assert.True(t, value[bool](s, `((lanes) => (main.draw(), lanes === document.getElementById("lanes").innerHTML))(document.getElementById("lanes").innerHTML)`), "at rest the picture is what a first one is")
	assert.Empty(t, s.Errors())
}

func fitsTheScreen(t *testing.T, s shown, widths ...int) {
	for _, width := range widths {
		require.NoError(t, s.Resize(width, 900))
		require.NoError(t, s.WaitFor(fmt.Sprintf(`innerWidth === %d && (main.draw(), true)`, width)))
		assert.LessOrEqual(t, value[int](s, `document.documentElement.scrollWidth`), width, "no scrolling sideways at %d", width)
		assert.Zero(t, value[int](s, `[...document.querySelectorAll("header, #card, #state, .lane, #list, #numbers")].filter((e) => e.getBoundingClientRect().right > innerWidth + 1).length`), "at %d", width)
	}
	assert.Empty(t, s.Errors())
}

// kinds are further kinds of runs. A page of each has a mark for each step.
var kinds = []struct {
	kind string
	run  []string
	says []string
	long bool
}{
	{"a duplicate", []string{"late-requests", "--seed", "1", "--plant", "idem.no_window"}, []string{"is in orders/0 at offsets", "OUT_OF_ORDER_SEQUENCE_NUMBER"}, true},
	{"two owners", []string{"scale-out", "--seed", "1", "--set", "group.protocol=consumer", "--plant", "client848.forget_last_topics"}, []string{"both owned", "of group billing", "orders/11: member-6 and member-1"}, false},
	{"a stuck group", []string{"slow-load", "--seed", "1", "--plant", "coord.unload_ignores_epoch"}, []string{"No broker coordinates the group"}, true},
	{"an aborted record that is delivered", []string{"standard-eos", "--seed", "1", "--plant", "fetch.delayed_no_aborted_list"},
		[]string{"(offset 0 of invoices/0), of a transaction of worker-1 that was aborted", "its abort marker is at offset 27", "Transactional id worker-1", "✗ PrepareAbort epoch 1", "✗ abort, epoch 1, marker at 27"}, false},
	{"a torn transaction", []string{"late-markers", "--seed", "4", "--plant", "txn.marker_epoch_ge"},
		[]string{"Of one transaction of producer-5, what is in orders/1 is aborted; what is in orders/2 and orders/0 are committed", "for the transaction before", "decided before the transaction began"}, true},
	{"a hanging transaction", []string{"standard-eos", "--seed", "16", "--plant", "txn.add_partitions_volatile"}, []string{"is stable up to offset 314 only", "a transaction of worker-2 is open there", "lso ┈ 314"}, true},
	{"a read above the last stable offset", []string{"exactly-once-pipeline", "--seed", "1", "--plant", "fetch.delayed_uncommitted"}, []string{"has a transaction open there since offset 0", "lso ┈ 0", "open since offset 0"}, true},
	{"an end that was never decided", []string{"standard-eos", "--seed", "1", "--plant", "txn.complete_twice"}, []string{"its end was never decided", "Ongoing before", "▨ open, epoch 7"}, true},
	{"output that is there twice", []string{"standard-eos", "--seed", "1", "--plant", "group.ack_marker_early"}, []string{"whose output is there twice", "no marker in __consumer_offsets/0", "⚠ no marker, epoch 4"}, true},
	{"a commit of an old generation", []string{"standard-eos", "--seed", "5", "--plant", "group.txn_commit_no_generation"}, []string{"took a commit of orders/2 of generation 3 from worker-3", "generation 3; present: 4"}, true},
	{"two leaders of the quorum", []string{"controller-storm", "--seed", "1", "--plant", "raft.restart_as_leader"}, []string{"controller-3 began to lead __cluster_metadata/0 in epoch 1 twice", "no vote was asked for", "★ LEADER epoch 1"}, true},
	{"metadata that is not safe", []string{"standard", "--seed", "1", "--plant", "raft.no_flush"}, []string{"have appended and none synced", "synced by 0"}, true},
	{"a tombstone that is gone", []string{"compacted-table", "--seed", "3", "--plant", "clean.tombstone_now"}, []string{"was not given the tombstone at offset 2904", "cleaned its log over offset 2904", "cleaned up to 2919"}, true},
	{"a producer that is forgotten", []string{"compacted-table", "--seed", "1", "--plant", "clean.drop_last_batch"}, []string{"not all replicas know of it", "cleaned over offset 2712"}, true},
	{"two assignments of a generation", []string{"coordinator-alone", "--seed", "1", "--plant", "group.respond_before_persist"}, []string{"took the group over after broker-1 had answered", "another assignment"}, true},
	{"an offset that expired", []string{"offsets-and-clocks", "--seed", "1", "--plant", "group.expire_any_state"}, []string{"Group billing had committed offset 3 of orders/9", "an offset does not expire", "member-3 owns it"}, true},
	{"a node that cannot start", []string{"controller-storm", "--seed", "1", "--set", "metadata.log.max.record.bytes.between.snapshots=1500", "--plant", "snap.no_fsync"}, []string{"controller-3 does not start any more", "must be synced before it gets its name", "snapshot not synced"}, true},
	{"an answer of another epoch", []string{"late-markers", "--seed", "18", "--plant", "txn.pending_by_id"}, []string{"was decided at 14.988s", "an answer of epoch 0"}, true},
	{"a producer id that is used up", []string{"epochs-used-up", "--seed", "1", "--plant", "txn.rotate_wrong_pair"}, []string{"with producer 1001, epoch 32767, which is only for markers", "answered with the one that is used up"}, true},
	{"a producer id that is not in the log", []string{"coordinator-in-prepare", "--seed", "2", "--set", "ktrial.transaction.first.epoch=32762", "--plant", "txn.no_persist_prev_next"}, []string{"without the producer id that comes next", "no next producer id"}, true},
	{"a partition taken for free", []string{"slow-to-give-up", "--seed", "1", "--plant", "group848.epoch_add_then_remove"}, []string{"member-3 was to give orders/3 up, and got it back in epoch 24", "orders/3 is free"}, true},
	{"a partition that is not given up", []string{"slow-to-give-up", "--seed", "1", "--plant", "client848.empty_is_nochange"}, []string{"member-1 was removed from group billing", "is to give orders/2 up"}, true},
	{"records out of order", []string{"first-batches", "--seed", "1", "--plant", "client.first_together"}, []string{"lies behind it in orders/1", "sequence 10 first"}, true},
	{"a commit of a replaced member", []string{"static-twin", "--seed", "1", "--plant", "group.no_instance_fence"}, []string{"after twin had replaced it as the static member member-1", "replaced by twin"}, true},
	{"a static member that is not in the log", []string{"static-twin", "--seed", "1", "--plant", "group.static_swap_volatile"}, []string{"it refused twin, and took member-1 for the member", "replaced by twin"}, true},
	{"a leader outside the ISR", []string{"standard", "--seed", "2", "--plant", "ctrl.batch_expire_from_base"}, []string{"which is not in its ISR", "Sessions must expire one at a time"}, true},
	{"a member that is removed too early", []string{"scale-out", "--seed", "2", "--plant", "group.no_session_in_rebalance"}, []string{"as silent, 4.5s after its last heartbeat", "heard of 4.5s ago"}, true},
	{"what is permitted", []string{"acks-one", "--seed", "1", "--set", "duration=22s"}, []string{"ALLOWED", "was acknowledged"}, true},
	{"a run that holds", []string{"leader-loses-power", "--seed", "1", "--set", "duration=6s"}, nil, true},
}

func tellsAKind(t *testing.T, s shown, says []string) {
	assert.Empty(t, s.Errors())
	text := value[string](s, `document.body.innerText`)
	for _, words := range says {
		assert.Contains(t, text, words)
	}
	readsTheSameState(t, s, 10)
	assert.Empty(t, value[[]string](s, `main.steps.filter((x) => !main.anchors[x.n]).map((x) => x.n + " " + x.host + " " + x.text)`), "steps without a mark")
}

// Each lane of one run lies above that of the other, on one axis that begins where they
// part.
func comparesTwoRuns(t *testing.T, s shown) {
	assert.Empty(t, s.Errors())
	assert.Equal(t, []string{s.url}, s.Requests())
	text := value[string](s, `document.getElementById("difference").innerText`)
	for _, words := range []string{"The same for", "First difference", "acks=all", "acks=1", "acknowledgement: half within", "× 0"} {
		assert.Contains(t, text, words)
	}
	sides := value[[]string](s, `main.laneList.map((l) => "AB"[l.side] + " " + l.lane.id)`)
	require.GreaterOrEqual(t, len(sides), 10)
	for _, id := range []string{"faults", "decisions", "replica-broker-1", "replica-broker-3", "latency", "rate"} {
		at := slices.Index(sides, "A "+id)
		require.GreaterOrEqual(t, at, 0, id)
		assert.Equal(t, "B "+id, sides[at+1])
	}
	assert.Equal(t, len(sides), value[int](s, `document.querySelectorAll(".parted").length`), "each lane shows where they part")
	assert.Equal(t, 1, value[int](s, `new Set(main.sides.map((side) => side.lanes.range(main.scale, side.state.partitions.get("orders/0")).join())).size`), "heights mean the same in both")
	assert.Contains(t, value[string](s, `document.getElementById("state").innerText`), "Topic: orders\tPartition: 0\tLeader: ")
	assert.Zero(t, value[int](s, `[...document.querySelectorAll(".lane svg")].filter((l) => l.getAttribute("role") !== "img" || !/^run [AB], /.test(l.getAttribute("aria-label"))).length`))
	s.press("p")
	assert.Equal(t, "orders/1", value[string](s, `main.view.focus`))
	s.press("a")
	assert.Zero(t, value[int](s, `main.view.from`))
	require.NoError(t, s.WaitFor(`location.hash.includes("p=orders%2F1")`))
	address := value[string](s, `location.hash`)
	lanes := value[string](s, `document.getElementById("lanes").innerHTML`)
	require.NoError(t, s.Go("about:blank"))
	require.NoError(t, s.WaitFor(`location.href === "about:blank"`))
	require.NoError(t, s.Go(s.url+address))
	s.ready()
	assert.True(t, lanes == value[string](s, `document.getElementById("lanes").innerHTML`), "the address gives the same picture")
	for _, width := range []int{390, 1000, 1280} {
		require.NoError(t, s.Resize(width, 900))
		require.NoError(t, s.WaitFor(fmt.Sprintf(`innerWidth === %d && (main.draw(), true)`, width)))
		assert.LessOrEqual(t, value[int](s, `document.documentElement.scrollWidth`), width, "no scrolling sideways at %d", width)
	}
	assert.Empty(t, s.Errors())
}

// A page of a large run stays small and quick.
func ofALargeRun(t *testing.T, s shown) {
	assert.Empty(t, s.Errors())
	// A quiet machine needs a sixth of it; what takes longer here is lost.
	ready := value[float64](s, `performance.getEntriesByName("ready")[0].startTime`)
	t.Logf("interactive after %v ms", ready)
	assert.Less(t, ready, 12_000.0)
	assert.Less(t, value[int](s, `(main.wholeRun(), main.draw(), document.querySelectorAll("#lanes *").length)`), 5000)
	t.Logf("a frame of panning takes %v ms", value[float64](s, `(() => { const begun = performance.now(); for (let i = 0; i < 20; i++) main.pan(5); return (performance.now() - begun) / 20; })()`))
	info, err := os.Stat(strings.TrimPrefix(s.url, "file://"))
	require.NoError(t, err)
	assert.Less(t, info.Size(), int64(5<<20))
}
