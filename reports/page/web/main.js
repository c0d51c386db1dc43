// Keys, mouse, the address, and when what is drawn.

class Main extends TimeWindow {
  constructor(run) {
    super();
    this.run = run;
    this.end = run.end;
    this.state = new Reducer(run.end, run.story?.why?.partition === "__cluster_metadata/0");
    for (const e of run.events) this.state.add(e);
    this.steps = stepsOf(run);
    this.card = new Card(run, this.state, this.steps);
    this.view = { focus: this.firstFocus(), txn: this.firstTransaction(), mode: "folded", from: 0, to: run.end, cursor: 0, query: "", step: 0, steps: this.steps };
    this.whatMatters();
    this.view.cursor = this.steps.length ? this.steps[this.steps.length - 1].t : 0;
    this.lanes = new Lanes(run, this.state, this.view);
    this.fromAddress();
    this.build();
    this.draw();
    this.listen();
    performance.mark("ready");
    document.documentElement.dataset.ready = "yes";
  }

  firstFocus() {
    const names = [...this.state.partitions.keys()].filter((n) => !n.startsWith("__")).sort(byPartition);
    const subject = this.run.story?.why?.partition || this.run.story?.subject;
    return subject && this.state.partitions.has(subject) ? subject : names[0] || [...this.state.partitions.keys()][0];
  }

  firstTransaction() {
    const ids = this.state.transactions;
    return ids.has(this.run.story?.why?.transaction) ? this.run.story?.why?.transaction : [...ids.keys()].sort(byName)[0] || "";
  }

  whatMatters() {
    const v = this.view, all = this.steps.filter((x) => x.host || this.steps.length < 3), s = all.slice(this.run.story?.inside && !this.run.stepped.length ? -4 : 0);
    if (!s.length) return this.wholeRun();
    const from = s[0].t, to = s[s.length - 1].t, length = Math.max(to - from, 1e6);
    v.from = Math.max(0, Math.floor(from - 0.04 * length));
    v.to = Math.ceil(to + 0.06 * length);
  }

  wholeRun() { this.view.from = 0; this.view.to = Math.ceil(this.run.end * 1.01) || 1; }

  // The address: #t=ns,ns&s=folded&c=ns&p=orders/0&x=worker-1&q=text

  fromAddress() {
    const v = this.view, unknown = [];
    for (const part of location.hash.slice(1).split("&").filter(Boolean)) {
      const [key, value] = [part.slice(0, part.indexOf("=")), decodeURIComponent(part.slice(part.indexOf("=") + 1))];
      const numbers = value.split(",").map(Number);
      if (key === "t" && numbers.length === 2 && numbers[0] < numbers[1]) [v.from, v.to] = numbers.map(Math.round);
      else if (key === "s" && ["linear", "folded", "steps"].includes(value)) v.mode = value;
      else if (key === "c" && Number.isFinite(numbers[0])) v.cursor = Math.round(numbers[0]);
      else if (key === "p" && (value === "" || this.state.partitions.has(value))) v.focus = value || v.focus;
      else if (key === "x" && (value === "" || this.state.transactions.has(value))) v.txn = value || v.txn;
      else if (key === "q") v.query = value;
      else unknown.push(part);
    }
    if (unknown.length) this.say(`in the address, not understood: ${unknown.join(", ")}`);
  }

  address() {
    const v = this.view;
    return `t=${Math.round(v.from)},${Math.round(v.to)}&s=${v.mode}&c=${Math.round(v.cursor)}&p=${encodeURIComponent(v.focus || "")}${v.txn && v.txn !== this.firstTransaction() ? "&x=" + encodeURIComponent(v.txn) : ""}${v.query ? "&q=" + encodeURIComponent(v.query) : ""}`;
  }

  // The page.

  build() {
    document.getElementById("card").innerHTML = this.card.html();
    this.laneList = this.lanes.all();
    document.getElementById("lanes").innerHTML = this.laneList.map((l, i) => this.laneHTML(l, i)).join("") + '<svg id="path" aria-hidden="true"></svg>';
    document.getElementById("numbers").innerHTML = this.numbers();
    document.getElementById("search").value = this.view.query;
    this.listEvents();
  }

  laneHTML(l, i) {
    const labels = l.labels ? l.labels.map((n) => l.buttons ? `<button class="row" data-${l.buttons}="${esc(n)}" style="height:${l.rowHeight}px">▸ ${esc(n)}</button>` : `<span class="row" style="height:${l.rowHeight}px">${esc(n)}</span>`).join("")
      : `<span class="${l.strong ? "strong" : ""}">${esc(l.label || "")}</span>${l.under ? `<small data-under="${i}"></small>` : ""}`;
    return (l.title ? `<h3 class="lane-title">${esc(l.title)} <small>${esc(l.hint || "")}</small></h3>` : "") +
      `<div class="lane" data-lane="${i}"><div class="label">${labels}</div><svg role="img" aria-label="${esc((l.title || l.label || "") + ": " + l.says).slice(0, 2000)}" height="${l.height}"></svg></div>`;
  }

  numbers() {
    const r = this.run.report;
    const rows = (o) => Object.entries(o || {}).sort(([a], [b]) => a.localeCompare(b)).map(([k, v]) => `<tr><td>${esc(k)}<td>${typeof v === "number" ? count(v) : esc(v)}`).join("");
    return `<section><h3>Checks</h3><table>${r.checks.map((c) => `<tr><td>${esc(c.verdict)}<td>${esc(c.name)}<td>${count(c.checked)} checked`).join("")}</table></section>` +
      `<section><h3>Work</h3><table>${rows(r.counts)}</table></section>` + numbersOf(r) +
      `<section><h3>Settings that are not Kafka's defaults</h3><table>${rows(r.config)}</table></section>` +
      `<section><h3>Probes reached</h3><table>${rows(r.probes)}</table></section>` +
      (r.probes_not_reached?.length ? `<section><h3>Not reached</h3><p>${r.probes_not_reached.map(esc).join("; ")}</p></section>` : "") +
      `<section><h3>Events that the page leaves out</h3><table>${rows({ ...this.run.left, "polls that gave nothing": this.run.operations.empty_polls })}</table></section>`;
  }

  /** The times around which something happens, of a focus. */
  landmarks(focus) {
    this.marks = this.marks || new Map();
    if (!this.marks.has(focus)) this.marks.set(focus, landmarksOf(this.state, this.steps, focus, this.lanes.record));
    return this.marks.get(focus);
  }

  draw() {
    this.drawLanes(false);
    this.drawOverview();
    this.drawCursor();
    document.getElementById("mode").textContent = `scale: ${this.view.mode}`;
  }

  /** The next frame of a window that moves: what does not change with it, and lanes out of sight, wait until it rests. */
  drawMoving() {
    this.drawLanes(true);
    this.drawOverviewWindow();
    this.placeCursor();
  }

  drawLanes(moving) {
    const v = this.view, room = (this.room = this.measure());
    this.scale = new Scale(v.mode, v.from, v.to, this.landmarks(v.focus), 0, room.width, this.steps.map((s) => s.t));
    this.scale.moving = moving;
    this.anchors = [];
    this.remarked = [];
    const folds = this.scale.folds();
    room.lanes.forEach((el, i) => this.drawLane(el, this.laneList[i], room.width, folds));
    this.drawAxis(room.width);
    this.drawPath(room.width);
  }

  /** Sizes and places, all of them before anything is written: after that the browser would lay out the page anew for each. */
  measure() {
    const lanes = document.getElementById("lanes"), all = [...lanes.querySelectorAll(".lane")], any = all[0].querySelector("svg");
    const width = Math.max(120, any.clientWidth || any.getBoundingClientRect().width), sight = lanes.getBoundingClientRect();
    return {
      width, label: all[0].querySelector(".label").offsetWidth, height: lanes.scrollHeight,
      lanes: all.map((el) => {
        const top = el.offsetTop, y = sight.top + top;
        return { el, top, seen: y < innerHeight && y + el.offsetHeight > 0 };
      }),
    };
  }

  drawLane({ el, top, seen }, lane, width, folds) {
    const here = (s) => (this.anchors[s.n] ? undefined : lane.y?.(s, this.scale));
    this.scale.badges = this.steps.map((s) => ({ step: s, x: this.scale.x(s.t), y: here(s) })).filter((b) => b.y !== undefined);
    if (seen || !this.scale.moving) {
      const svg = el.querySelector("svg"), end = this.scale.x(this.run.end);
      svg.setAttribute("viewBox", `0 0 ${width} ${lane.height}`);
      svg.innerHTML = (folds.length ? `<path class="fold" d="${folds.map((f) => `M${this.scale.x(f.from).toFixed(1)} 0V${lane.height}H${this.scale.x(f.to).toFixed(1)}V0z`).join("")}"/>` : "") +
        lane.draw(this.scale) + (end < width ? `<line class="run-end" x1="${end}" x2="${end}" y1="0" y2="${lane.height}"/>` : "");
    }
    for (const b of this.scale.badges) this.anchors[b.step.n] = { x: b.x, y: top + b.y };
    (this.run.story?.why?.remarks || []).forEach((m, i) => {
      if (lane.remarkY === undefined || this.remarked[i] || !this.remarkFits(lane, m)) return;
      this.remarked[i] = { x: this.scale.x(m.at * 1e9), y: top + lane.remarkY, text: m.text };
    });
  }

  /** How many events there are in each of so many parts of the run. */
  density(parts) {
    if (this.bins?.length === parts) return this.bins;
    this.bins = new Float64Array(parts);
    for (const e of this.run.events) this.bins[Math.min(parts - 1, Math.floor(e.t / this.run.end * parts))]++;
    return this.bins;
  }

  drawOverview() {
    const canvas = document.getElementById("overview"), width = canvas.clientWidth, height = 46, ratio = window.devicePixelRatio || 1;
    const still = (this.overview = { canvas: document.createElement("canvas"), width, height, ratio }); // all but the window
    canvas.width = still.canvas.width = width * ratio;
    canvas.height = still.canvas.height = height * ratio;
    const g = still.canvas.getContext("2d"), style = getComputedStyle(document.documentElement), x = (t) => t / this.run.end * width;
    g.scale(ratio, ratio);
    const bins = this.density(Math.max(1, Math.ceil(width)));
    const most = Math.sqrt(bins.reduce((a, b) => Math.max(a, b), 1));
    g.fillStyle = style.getPropertyValue("--quiet");
    bins.forEach((n, i) => { if (n) g.fillRect(i, height - Math.sqrt(n) / most * 26, 1, Math.sqrt(n) / most * 26); });
    g.fillStyle = style.getPropertyValue("--fault");
    this.state.faults.filter(Boolean).forEach((f) => g.fillRect(x(f.from), 2 + (f.row || 0) % 5 * 3, Math.max(1, x(f.to) - x(f.from)), 2));
    g.fillStyle = style.getPropertyValue("--leader");
    for (const c of this.state.leaderChanges) { g.beginPath(); g.moveTo(x(c.t), 18); g.lineTo(x(c.t) - 3, 24); g.lineTo(x(c.t) + 3, 24); g.fill(); }
    g.fillStyle = style.getPropertyValue("--bad");
    for (const v of this.run.report.violations.slice(0, 200)) g.fillRect(x(v.at * 1e9) - 1, 0, 2, 12);
    still.cursor = style.getPropertyValue("--cursor");
    this.drawOverviewWindow();
  }

  drawOverviewWindow() {
    const { canvas, width, height, ratio, cursor } = this.overview, g = document.getElementById("overview").getContext("2d"), x = (t) => t / this.run.end * width;
    g.setTransform(1, 0, 0, 1, 0, 0);
    g.clearRect(0, 0, canvas.width, canvas.height);
    if (canvas.width) g.drawImage(canvas, 0, 0);
    g.setTransform(ratio, 0, 0, ratio, 0, 0);
    g.strokeStyle = cursor;
    g.lineWidth = 2;
    g.strokeRect(x(this.view.from), 1, Math.max(3, x(this.view.to) - x(this.view.from)), height - 2);
  }

  /** Whether a remark is about what a lane shows: what the step of its time and host is in, or else the lane of its host or group. */
  remarkFits(lane, m) {
    const why = this.run.story.why, step = this.steps.find((s) => s.host === m.host && Math.abs(s.t - m.at * 1e9) < 2);
    if (step && this.laneList.some((l) => l.remarkY !== undefined && l.y?.(step, this.scale) !== undefined)) return lane.y?.(step, this.scale) !== undefined;
    return lane.id === `replica-${m.host}` || (why.group && why.partition && lane.id === `owner-${why.group}-${why.partition}`) || (why.group && !why.partition && lane.id === `group-${why.group}`) ||
      (why.transaction && lane.id === `txn-${why.transaction}` && !this.laneList.some((l) => l.id === `replica-${m.host}`));
  }

  /** The steps as numbers on one path through the lanes: what moved the record is a line, what was decided is dashed. */
  drawPath(width) {
    const svg = document.getElementById("path"), { label, height } = this.room;
    svg.style.left = `${label}px`;
    svg.setAttribute("width", width);
    svg.setAttribute("height", height);
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    const within = (s) => this.anchors[s.n] && this.anchors[s.n].x >= 0 && this.anchors[s.n].x <= width;
    const shown = this.steps.filter(within);
    svg.innerHTML = shown.map((s) => this.wayTo(s, within)).join("") + this.remarked.filter(Boolean).map((m) => remarkBox(m, width)).join("") + shown.map((s) => this.badge(s)).join("");
  }

  /** The line from the step that led to this one. */
  wayTo(s, within) {
    const from = parentOf(s, this.steps);
    if (!from || !within(from)) return "";
    const a = this.anchors[from.n], b = this.anchors[s.n], middle = (a.x + b.x) / 2;
    const cls = s.decides || s.kind === "cut" || s.kind === "lost" ? "way decided" : "way";
    const bend = Math.abs(a.y - b.y) < 4 ? Math.min(14, (b.x - a.x) / 4) : 0; // or it would lie on what the lane says
    return `<path class="${cls}" d="M${a.x.toFixed(1)} ${a.y}C${middle.toFixed(1)} ${a.y - bend} ${middle.toFixed(1)} ${b.y - bend} ${b.x.toFixed(1)} ${b.y}"/>`;
  }

  badge(s) {
    const a = this.anchors[s.n];
    return `<g class="badge ${stepClass(s, this.steps)}${s.n === this.view.step ? " chosen" : ""}" data-step="${s.n}"><title>${esc(s.host + " " + s.text)}</title><circle cx="${a.x.toFixed(1)}" cy="${a.y}" r="8.5"/><text x="${a.x.toFixed(1)}" y="${a.y + 3.5}" text-anchor="middle">${s.n}</text></g>`;
  }

  placeCursor() {
    const v = this.view, cursor = document.getElementById("cursor"), x = this.scale.x(v.cursor);
    const visible = x >= 0 && x <= this.scale.right;
    cursor.hidden = !visible;
    cursor.style.left = `${this.room.label + x}px`;
    cursor.className = x > this.scale.right - 80 ? "left" : "";
    cursor.firstElementChild.textContent = seconds(v.cursor, 1e3);
    this.toAddress();
  }

  drawCursor() {
    const v = this.view;
    this.placeCursor();
    document.getElementById("state").innerHTML = `<h3>State at ${seconds(v.cursor, 1e3)}</h3>` + this.card.stateAt(v.cursor, v.focus);
    this.laneList.forEach((l, i) => { if (l.under) document.querySelector(`[data-under="${i}"]`).textContent = l.under(v.cursor); });
    document.querySelectorAll(".steps button").forEach((b) => b.setAttribute("aria-current", Number(b.dataset.step) === v.step ? "step" : "false"));
  }

  // The list of events.

  matching() {
    const words = this.view.query.toLowerCase().split(/\s+/).filter(Boolean);
    const text = (e) => `${e.host} ${e.kind} ${e.partition || ""} ${e.say || ""} ${e.from ?? ""} ${e.to ?? ""} ${e.end ?? ""}`.toLowerCase();
    return this.run.events.filter((e) => (words.length ? true : e.say) && words.every((w) => (w.startsWith("-") && w.length > 1 ? !text(e).includes(w.slice(1)) : text(e).includes(w))));
  }

  listEvents() {
    const found = this.matching(), shown = found.slice(0, 200);
    document.getElementById("found").textContent = `${count(found.length)} events${found.length > shown.length ? `, the first ${shown.length} shown` : ""}${this.view.query ? "" : " that are notable; search for others"}`;
    document.getElementById("events").innerHTML = shown.map((e) => `<tr data-event="${e.index}"><td><button>${seconds(e.t, 1e3)}</button><td>${esc(e.host)}<td>${esc(e.kind)}<td>${esc(e.say || brief(e))}`).join("");
  }

  // What a reader does.

  goTo(t, step) {
    const v = this.view;
    v.cursor = Math.round(t);
    v.step = step || 0;
    if (t < v.from || t > v.to) {
      const half = (v.to - v.from) / 2;
      v.from = Math.max(0, Math.floor(t - half));
      v.to = Math.ceil(t + half);
      this.draw();
    } else {
      this.drawPath(this.scale.right);
      this.drawCursor();
    }
  }

  goToStep(n) {
    const s = this.steps[Math.max(1, Math.min(n, this.steps.length)) - 1];
    if (!s) return;
    this.goTo(s.t, s.n);
    this.say(`step ${s.n} of ${this.steps.length}: ${s.host} ${s.text}`);
    document.querySelector(`.steps [data-step="${s.n}"]`)?.scrollIntoView({ block: "nearest" });
  }

  zoom(factor, around) {
    const v = this.view, from = around - (around - v.from) * factor, to = around + (v.to - around) * factor;
    if (to - from < 1000 || to - from > this.run.end * 4) return;
    v.from = Math.floor(from);
    v.to = Math.ceil(to);
    this.draw();
  }

  nextLandmark(direction) {
    const marks = this.landmarks(this.view.focus);
    const t = direction > 0 ? marks.find((m) => m > this.view.cursor) : marks.findLast((m) => m < this.view.cursor);
    if (t !== undefined) this.goTo(t);
  }

  nextAnomaly(direction) {
    const times = this.run.report.violations.map((v) => Math.round(v.at * 1e9)).sort((a, b) => a - b);
    const t = direction > 0 ? times.find((m) => m > this.view.cursor) : times.findLast((m) => m < this.view.cursor);
    if (t !== undefined) this.goTo(t);
  }

  nextFocus() {
    const names = [...this.state.partitions.keys()].sort(byPartition);
    this.focus(names[(names.indexOf(this.view.focus) + 1) % names.length]);
  }

  nextTransaction() {
    const ids = [...this.state.transactions.keys()].sort(byName);
    if (ids.length) this.focusTransaction(ids[(ids.indexOf(this.view.txn) + 1) % ids.length]);
    else this.say("no transactions");
  }

  nextMode() {
    const modes = ["folded", "linear", "steps"];
    this.view.mode = modes[(modes.indexOf(this.view.mode) + 1) % modes.length];
    this.draw();
  }

  help(open) {
    const sheet = document.getElementById("help");
    if (open) sheet.showModal(); else sheet.close();
  }

  listen() {
    const keys = {
      ArrowRight: () => this.nextLandmark(1), ArrowLeft: () => this.nextLandmark(-1),
      "]": () => this.goToStep(this.view.step + 1), "[": () => this.goToStep(this.view.step - 1),
      "}": () => this.nextAnomaly(1), "{": () => this.nextAnomaly(-1),
      "+": () => this.zoom(0.5, this.view.cursor), "-": () => this.zoom(2, this.view.cursor),
      0: () => { this.whatMatters(); this.draw(); }, a: () => { this.wholeRun(); this.draw(); },
      l: () => this.nextMode(), p: () => this.nextFocus(), x: () => this.nextTransaction(), t: () => this.theme(), "?": () => this.help(true),
      c: () => this.copy(location.href.split("#")[0] + "#" + this.address()),
      "/": () => document.getElementById("search").focus(),
      f: () => this.say("fork: only in a live run, for a page holds one that is over"),
    };
    document.addEventListener("keydown", (e) => {
      if (e.target.matches("input")) { if (e.key === "Escape") e.target.blur(); return; }
      if (e.ctrlKey || e.metaKey || e.altKey) return;
      if (e.shiftKey && e.key.startsWith("Arrow")) { this.pan(e.key === "ArrowRight" ? 80 : -80); e.preventDefault(); return; }
      if (keys[e.key]) { keys[e.key](); e.preventDefault(); }
    });
    document.addEventListener("click", (e) => {
      const at = (selector) => e.target.closest(selector);
      if (at("[data-step]")) this.goToStep(Number(at("[data-step]").dataset.step));
      else if (at("[data-copy]")) this.copy(at("[data-copy]").dataset.copy);
      else if (at("[data-focus]")) this.focus(at("[data-focus]").dataset.focus);
      else if (at("[data-txn]")) this.focusTransaction(at("[data-txn]").dataset.txn);
      else if (at("[data-event]")) this.goTo(this.run.events[Number(at("[data-event]").dataset.event)].t);
      else if (at("[data-key]")) keys[at("[data-key]").dataset.key]();
      else if (at("[data-close]")) this.help(false);
    });
    document.getElementById("search").addEventListener("input", (e) => { this.view.query = e.target.value; this.listEvents(); this.toAddress(); });
    this.listenToDragging();
    addEventListener("hashchange", () => { this.fromAddress(); this.build(); this.draw(); });
    new ResizeObserver(() => this.draw()).observe(document.getElementById("lanes"));
  }

}

/** How well a run went, as tables. */
function numbersOf(r) {
  const n = r.numbers;
  if (!n) return "";
  const time = (s) => lasting(s * 1e9), row = (name, ...cells) => `<tr><td>${esc(name)}${cells.map((c) => `<td>${esc(c)}`).join("")}`;
  const quantiles = (name, d) => (d.count ? row(name, count(d.count), time(d.p50), time(d.p99), time(d.p999), time(d.max)) : "");
  const groups = (r.rebalances || []).map((g) => quantiles(`rebalances of ${g.group}`, g.stable) + quantiles(`standstills of ${g.group}`, g.standstill)).join("");
  const requests = Object.entries(n.requests || {}).sort(([, a], [, b]) => b.count - a.count);
  return `<section><h3>Times</h3><table><tr><th><th>count<th>half within<th>99%<th>99.9%<th>slowest</tr>${quantiles("acknowledgement", n.ack)}${quantiles("to the first consumer", n.end_to_end)}${groups}</table></section>` +
    `<section><h3>Numbers</h3><table>${row("sent, acknowledged, delivered a second", [n.sent_per_second, n.acknowledged_per_second, n.delivered_per_second].map(count).join(", "))}` +
    (n.ack.count ? row("longest pause of acknowledgements", `${time(n.longest_pause)}, from ${seconds(n.longest_pause_at * 1e9)}`) : "") +
    row("elections; ISR shrinks, grows", `${n.elections}; ${n.isr_shrinks}, ${n.isr_grows}`) +
    Object.entries(n.partitions).sort(([a], [b]) => byPartition(a, b)).slice(0, 30).map(([p, x]) => row(p, `${time(x.without_leader)} without a leader, ${time(x.below_min_isr)} below min.insync.replicas`)).join("") +
    Object.entries(n.lag).map(([g, l]) => row(`lag of ${g}`, `at most ${count(l.max)} at ${seconds(l.max_at * 1e9)}, ${count(l.end)} at the end`)).join("") +
    row("bytes appended to logs", count(n.bytes_on_disk)) + (n.bytes_on_wire ? row("bytes of requests and answers", count(n.bytes_on_wire)) : "") + `</table></section>` +
    (requests.length ? `<section><h3>Requests</h3><table><tr><th>API<th>count<th>errors</tr>${requests.map(([api, q]) => row(api, count(q.count), Object.entries(q.errors || {}).map(([name, times]) => `${count(times)} ${name}`).join(", "))).join("")}</table></section>` : "");
}

/** The step that a step follows from; undefined: none does. */
function parentOf(s, steps) {
  const earlier = steps.filter((x) => x.n < s.n).reverse(), last = (...kinds) => earlier.find((x) => kinds.includes(x.kind));
  const here = (...kinds) => earlier.find((x) => x.host === s.host && kinds.includes(x.kind));
  switch (s.kind) {
    case "sent": return undefined;
    case "began": case "staged": return last("sent", "assigned", "began");
    case "decided": return last("staged", "answered", "appended", "began", "led");
    case "marked": return last("decided");
    case "complete": return last("marked", "decided", "began");
    case "fenced": return last("began", "complete");
    case "served": return last("marked", "committed", "appended");
    case "appended": return last("answered") && last("sent") ? last("sent", "answered", "began") : last("began", "sent");
    case "copied": return last("appended", "replaced");
    case "committed": return last("copied", "appended");
    case "acknowledged": case "answered": return last("decided", "marked", "committed", "appended", "broke", "sent");
    case "read": return last("served", "committed", "appended", "assigned", "staged");
    case "voted": return last("followed", "voted");
    case "elected": return last("voted") || undefined;
    case "led": case "followed": return last("elected");
    case "replaced": return here("led") || last("led");
    case "cut": case "lost": return here("followed", "died", "copied", "appended");
    case "broke": return here("copied", "appended", "lost", "cut", "led") || last("began", "marked", "decided", "fenced", "committed", "replaced", "led", "appended", "staged", "group", "assigned");
    case "assigned": case "gave up": case "group": case "removed": return earlier[0];
    case "": return earlier[0];
  }
  return undefined;
}

/** A few words in a frame where the cause is. */
function remarkBox(m, width) {
  const w = m.text.length * 7 + 12, x = Math.max(0, Math.min(m.x - w - 12, width - w));
  return m.x < -5 || m.x > width + 5 ? "" : `<g class="remark"><rect x="${x.toFixed(1)}" y="${m.y - 9}" width="${w.toFixed(1)}" height="17" rx="2"/><text x="${(x + 6).toFixed(1)}" y="${m.y + 3.5}">${esc(m.text)}</text></g>`;
}

/** The fields of an event without a sentence. */
function brief(e) {
  return Object.entries(e).filter(([k, v]) => !["index", "t", "host", "kind", "say", "at_offset", "topic_id", "digest"].includes(k) && v !== undefined && v !== null && typeof v !== "object").map(([k, v]) => `${k} ${v}`).join(", ");
}

readRun().then((run) => { window.main = new Main(run); }).catch((e) => { document.getElementById("said").textContent = `this page cannot be read: ${e.message}`; throw e; });
