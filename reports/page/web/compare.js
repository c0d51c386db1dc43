// Two runs on one axis: each lane of the one above that of the other, from the first
// event in which they differ.

class Compare extends TimeWindow {
  constructor(runs) {
    super();
    this.sides = runs.map((run) => this.side(run));
    this.end = Math.max(...runs.map((r) => r.end));
    const names = [...new Set(this.sides.flatMap((s) => [...s.state.partitions.keys()]))].sort(byPartition);
    const focus = this.sides.map((s) => s.run.story?.why?.partition || s.run.story?.subject).find((n) => names.includes(n));
    this.names = names;
    this.ids = [...new Set(this.sides.flatMap((s) => [...s.state.transactions.keys()]))].sort(byName);
    this.until = Number(document.getElementById("difference").dataset.until);
    this.view = { focus: focus || names.find((n) => !n.startsWith("__")) || names[0], txn: this.ids[0] || "", mode: "folded", from: 0, to: this.end, cursor: this.until };
    this.firstDifference();
    this.fromAddress();
    this.build();
    this.draw();
    this.listen();
    document.documentElement.dataset.ready = "yes";
  }

  side(run) {
    const state = new Reducer(run.end);
    for (const e of run.events) state.add(e);
    const steps = stepsOf(run), view = { focus: "", txn: "", steps: [] };
    return { run, state, steps, view, lanes: new Lanes(run, state, view), card: new Card(run, state, steps) };
  }

  /** The window begins a little before the runs part, and shows what follows at once. */
  firstDifference() {
    const v = this.view, after = Math.min(Math.max(this.end - this.until, 1e6), 10e9);
    v.from = Math.max(0, Math.floor(this.until - 0.06 * after));
    v.to = Math.ceil(this.until + after);
  }
  wholeRuns() { this.view.from = 0; this.view.to = Math.ceil(this.end * 1.01) || 1; }

  fromAddress() {
    const v = this.view, unknown = [];
    for (const part of location.hash.slice(1).split("&").filter(Boolean)) {
      const [key, value] = [part.slice(0, part.indexOf("=")), decodeURIComponent(part.slice(part.indexOf("=") + 1))];
      const numbers = value.split(",").map(Number);
      if (key === "t" && numbers.length === 2 && numbers[0] < numbers[1]) [v.from, v.to] = numbers.map(Math.round);
      else if (key === "s" && ["linear", "folded", "steps"].includes(value)) v.mode = value;
      else if (key === "c" && Number.isFinite(numbers[0])) v.cursor = Math.round(numbers[0]);
      else if (key === "p" && this.names.includes(value)) v.focus = value;
      else if (key === "x" && this.ids.includes(value)) v.txn = value;
      else unknown.push(part);
    }
    if (unknown.length) this.say(`in the address, not understood: ${unknown.join(", ")}`);
  }
  address() {
    const v = this.view;
    return `t=${Math.round(v.from)},${Math.round(v.to)}&s=${v.mode}&c=${Math.round(v.cursor)}&p=${encodeURIComponent(v.focus || "")}${v.txn ? "&x=" + encodeURIComponent(v.txn) : ""}`;
  }

  /** The lanes of both, those of one thing together: A above B. */
  build() {
    const left = ["messages", "clients-of-the-story", "hosts"];
    const lists = this.sides.map((s) => {
      Object.assign(s.view, { focus: s.state.partitions.has(this.view.focus) ? this.view.focus : "", txn: s.state.transactions.has(this.view.txn) ? this.view.txn : "" });
      return s.lanes.all().filter((l) => !left.includes(l.id));
    });
    const ids = lists[0].map((l) => l.id);
    for (const l of lists[1]) if (!ids.includes(l.id)) ids.push(l.id);
    this.laneList = ids.flatMap((id) => lists.flatMap((list, side) => list.filter((l) => l.id === id).map((lane) => ({ lane, side }))));
    let title = "";
    document.getElementById("lanes").innerHTML = this.laneList.map(({ lane, side }, i) => {
      const heading = lane.title && lane.title !== title ? `<h3 class="lane-title">${esc(lane.title)} <small>${esc(lane.hint || "")}</small></h3>` : "";
      title = lane.title || title;
      return heading + this.laneHTML(lane, side, i);
    }).join("");
  }

  laneHTML(l, side, i) {
    const labels = l.labels ? l.labels.map((n) => l.buttons ? `<button class="row" data-${l.buttons}="${esc(n)}" style="height:${l.rowHeight}px">▸ ${esc(n)}</button>` : `<span class="row" style="height:${l.rowHeight}px">${esc(n)}</span>`).join("")
      : `<span class="${l.strong ? "strong" : ""}">${esc(l.label || "")}</span>${l.under ? `<small data-under="${i}"></small>` : ""}`;
    return `<div class="lane ${"ab"[side]}" data-lane="${i}"><div class="label">${labels}</div><svg role="img" aria-label="${esc(`run ${"AB"[side]}, ${l.title || l.label || ""}: ${l.says}`).slice(0, 2000)}" height="${l.height}"></svg></div>`;
  }

  draw() {
    const v = this.view, lanes = document.getElementById("lanes"), any = lanes.querySelector(".lane svg");
    const width = Math.max(120, any.clientWidth || any.getBoundingClientRect().width);
    const marks = [...new Set([this.until, ...this.sides.flatMap((s) => landmarksOf(s.state, [], v.focus))])].sort((a, b) => a - b);
    this.scale = new Scale(v.mode, v.from, v.to, marks, 0, width, [this.until]);
    this.scale.alike = (name) => this.sides.map((s) => s.state.partitions.get(name)).filter(Boolean);
    const folds = this.scale.folds(), x = (t) => this.scale.x(t).toFixed(1);
    lanes.querySelectorAll(".lane").forEach((el, i) => {
      const { lane, side } = this.laneList[i], svg = el.querySelector("svg"), end = this.scale.x(this.sides[side].run.end), parted = this.scale.x(this.until);
      svg.setAttribute("viewBox", `0 0 ${width} ${lane.height}`);
      svg.innerHTML = folds.map((f) => `<rect class="fold" x="${x(f.from)}" width="${(this.scale.x(f.to) - this.scale.x(f.from)).toFixed(1)}" y="0" height="${lane.height}"/>`).join("") + lane.draw(this.scale) +
        (end < width ? `<line class="run-end" x1="${end}" x2="${end}" y1="0" y2="${lane.height}"/>` : "") +
        (parted >= 0 && parted <= width ? `<line class="parted" x1="${parted}" x2="${parted}" y1="0" y2="${lane.height}"><title>here they part</title></line>` : "");
    });
    this.drawAxis(width);
    this.drawOverview();
    this.drawCursor();
    document.getElementById("mode").textContent = `scale: ${v.mode}`;
  }

  /** How much happens when: A above, B below. */
  drawOverview() {
    const canvas = document.getElementById("overview"), width = canvas.clientWidth, height = 46, ratio = window.devicePixelRatio || 1;
    canvas.width = width * ratio;
    canvas.height = height * ratio;
    const g = canvas.getContext("2d"), style = getComputedStyle(document.documentElement), x = (t) => t / this.end * width;
    g.scale(ratio, ratio);
    this.sides.forEach((s, side) => {
      const bins = new Float64Array(Math.max(1, Math.ceil(width)));
      for (const e of s.run.events) bins[Math.min(bins.length - 1, Math.floor(x(e.t)))]++;
      const most = Math.sqrt(bins.reduce((a, b) => Math.max(a, b), 1));
      g.fillStyle = style.getPropertyValue(side ? "--ink" : "--quiet");
      bins.forEach((n, i) => { if (n) g.fillRect(i, (side ? 44 : 21) - Math.sqrt(n) / most * 18, 1, Math.sqrt(n) / most * 18); });
      g.fillStyle = style.getPropertyValue("--fault");
      s.state.faults.filter(Boolean).forEach((f) => g.fillRect(x(f.from), side ? 24 : 1, Math.max(1, x(f.to) - x(f.from)), 2));
    });
    g.fillStyle = style.getPropertyValue("--bad");
    g.fillRect(x(this.until) - 1, 0, 2, height);
    g.strokeStyle = style.getPropertyValue("--cursor");
    g.lineWidth = 2;
    g.strokeRect(x(this.view.from), 1, Math.max(3, x(this.view.to) - x(this.view.from)), height - 2);
  }

  drawCursor() {
    const v = this.view, cursor = document.getElementById("cursor"), x = this.scale.x(v.cursor);
    cursor.hidden = x < 0 || x > this.scale.right;
    cursor.style.left = `${document.querySelector(".label").offsetWidth + x}px`;
    cursor.className = x > this.scale.right - 80 ? "left" : "";
    cursor.firstElementChild.textContent = seconds(v.cursor, 1e3);
    document.getElementById("state").innerHTML = this.sides.map((s, i) => `<h3>${"AB"[i]} at ${seconds(v.cursor, 1e3)}</h3>` +
      (v.cursor > s.run.end ? "<p>It has ended.</p>" : s.card.stateAt(v.cursor, v.focus))).join("");
    this.laneList.forEach(({ lane }, i) => { if (lane.under) document.querySelector(`[data-under="${i}"]`).textContent = lane.under(v.cursor); });
    this.toAddress();
  }

  goTo(t) {
    const v = this.view, length = v.to - v.from;
    v.cursor = Math.round(t);
    if (t < v.from || t > v.to) { v.from = Math.max(0, Math.round(t - length / 2)); v.to = v.from + length; this.draw(); } else this.drawCursor();
  }
  zoom(factor, t) {
    const v = this.view, length = Math.max(1000, Math.round((v.to - v.from) * factor)), share = (this.scale.x(t) - this.scale.left) / (this.scale.right - this.scale.left);
    v.from = Math.round(t - length * Math.min(1, Math.max(0, share)));
    v.to = v.from + length;
    this.draw();
  }
  next(list, now) { return list[(list.indexOf(now) + 1) % list.length]; }

  listen() {
    const sheet = document.getElementById("help"), modes = ["folded", "linear", "steps"];
    const keys = {
      ArrowRight: () => this.pan(80), ArrowLeft: () => this.pan(-80), "+": () => this.zoom(0.5, this.view.cursor), "-": () => this.zoom(2, this.view.cursor),
      0: () => { this.firstDifference(); this.draw(); }, a: () => { this.wholeRuns(); this.draw(); },
      l: () => { this.view.mode = this.next(modes, this.view.mode); this.draw(); }, p: () => this.focus(this.next(this.names, this.view.focus)),
      x: () => (this.ids.length ? this.focusTransaction(this.next(this.ids, this.view.txn)) : this.say("no transactions")),
      t: () => this.theme(), "?": () => sheet.showModal(), c: () => this.copy(location.href.split("#")[0] + "#" + this.address()),
    };
    document.addEventListener("keydown", (e) => {
      if (e.ctrlKey || e.metaKey || e.altKey || !keys[e.key]) return;
      keys[e.key]();
      e.preventDefault();
    });
    document.addEventListener("click", (e) => {
      const at = (selector) => e.target.closest(selector);
      if (at("[data-t]")) this.goTo(Number(at("[data-t]").dataset.t));
      else if (at("[data-focus]")) this.focus(at("[data-focus]").dataset.focus);
      else if (at("[data-txn]")) this.focusTransaction(at("[data-txn]").dataset.txn);
      else if (at("[data-key]")) keys[at("[data-key]").dataset.key]();
      else if (at("[data-close]")) sheet.close();
    });
    addEventListener("hashchange", () => { this.fromAddress(); this.build(); this.draw(); });
    new ResizeObserver(() => this.draw()).observe(document.getElementById("lanes"));
    this.listenToDragging();
  }

}

Promise.all([readRun("data-a"), readRun("data-b")]).then((runs) => { window.main = new Compare(runs); }).catch((e) => { document.getElementById("said").textContent = `this page cannot be read: ${e.message}`; throw e; });
