// The picture: a lane for each thing that has a state over time. A lane says its
// height, its label, and draws itself as SVG text for a scale; it touches no page.

const esc = (s) => String(s).replace(/[&<>"']/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" })[c]);

/** A text that is cut to the room there is, at about 6.2 pixels a letter. */
function fit(text, width, bold) {
  const letters = Math.floor(width / (bold ? 6.8 : 6.2));
  if (letters < 2) return "";
  return text.length <= letters ? text : text.slice(0, letters - 1) + "…";
}

/** What a column of pixels with many operations shows: the worst of their outcomes. */
const ranks = { ok: 1, open: 2, died: 2, unknown: 3, failed: 4 }, outcomes = ["", "ok", "open", "unknown", "failed"];

/** A bar from one time to another with a text in it. */
function bar(scale, from, to, y, height, cls, text, title) {
  const x0 = Math.max(scale.x(from), scale.left - 2), x1 = Math.min(scale.x(to), scale.right + 2);
  if (x1 < scale.left || x0 > scale.right) return "";
  const w = Math.max(1, x1 - x0);
  const badge = (scale.badges || []).find((b) => Math.abs(b.y - y - height / 2) < 9 && b.x > x0 - 9 && b.x < x0 + 13);
  const start = badge ? badge.x + 11 : x0 + 4; // a step's number would hide how the text begins
  const label = text ? fit(text, x0 + w - 4 - start, cls.includes("strong")) : "";
  return titled(scale, title || text || "", `<rect class="${cls}" x="${x0.toFixed(2)}" y="${y}" width="${w.toFixed(2)}" height="${height}"/>` +
    (label ? `<text class="on-${cls.split(" ")[0]}" x="${start.toFixed(2)}" y="${y + height - Math.max(3, (height - 9) / 2)}">${esc(label)}</text>` : ""));
}

/** What is shown with a title, a text or what makes one; without, while the window moves: nothing is pointed at then. */
const titled = (scale, title, shown) => (scale.moving ? shown : `<g><title>${esc(typeof title === "function" ? title() : title)}</title>${shown}</g>`);

/** The points of a step line between two times, one a pixel at most. */
function stepLine(scale, points, y, from, to) {
  let d = "", lastX = -1e9, last;
  for (const p of points) {
    if (p.t > to) break;
    const x = Math.max(scale.x(p.t), scale.left - 2);
    if (last !== undefined && x - lastX < 0.5 && p.t < to) { last = p; continue; }
    if (last !== undefined && d) d += `V${y(last.at).toFixed(1)}`;
    d += d ? `H${x.toFixed(1)}V${y(p.at).toFixed(1)}` : `M${x.toFixed(1)} ${y(p.at).toFixed(1)}`;
    lastX = x;
    last = p;
  }
  if (!d) return "";
  return d + `V${y(last.at).toFixed(1)}H${Math.min(scale.x(to), scale.right + 2).toFixed(1)}`;
}

class Lanes {
  constructor(run, state, view) {
    this.run = run;
    this.state = state;
    this.view = view; // {focus, steps, opened}
    this.record = run.story?.why?.record;
    this.why = run.story?.why;
  }

  /** All lanes from the top down: the order in which a record travels. */
  all() {
    const s = this.state, focus = this.view.focus;
    const lanes = [this.faults()];
    const concerned = this.concernedClients();
    if (concerned.length) lanes.push(this.clients("Clients of the story", concerned, "send or poll, until its answer"));
    const groups = [...s.groups.values()], first = groups.filter((g) => g.name === this.why?.group);
    for (const g of first) lanes.push(...this.group(g));
    const told = s.transactions.get(this.why?.transaction), chosen = s.transactions.get(this.view.txn);
    if (told && told === chosen) lanes.push(...this.transaction(told));
    if (focus && s.partitions.has(focus)) lanes.push(...this.partition(s.partitions.get(focus)));
    if (s.messages.length) lanes.push(this.messages());
    if (chosen && told !== chosen) lanes.push(...this.transaction(chosen));
    if (s.transactions.size > 1) lanes.push(this.otherTransactions(chosen));
    for (const g of groups) if (!first.includes(g)) lanes.push(...this.group(g));
    const others = [...s.partitions.keys()].filter((n) => n !== focus).sort(byPartition);
    if (others.length) lanes.push(this.others(others));
    if ([...s.hosts.values()].some((h) => h.up.some((u) => u.state !== "up"))) lanes.push(this.hosts());
    const clients = [...new Set(s.operations.map((o) => o.client))].sort(byName);
    if (clients.length) lanes.push(this.clients("Client operations", clients, "✓ answered, ✗ refused, ? not known, … still open"));
    if (s.acks.length) lanes.push(this.latency(), this.rate());
    return lanes;
  }

  concernedClients() {
    const names = new Set(this.view.steps.map((s) => s.host));
    return [...new Set(this.state.operations.map((o) => o.client))].filter((c) => names.has(c)).sort(byName);
  }

  faults() {
    const faults = this.state.faults.filter(Boolean);
    const rows = [];
    for (const f of faults) {
      let row = rows.findIndex((end) => end <= f.from);
      if (row < 0) row = rows.push(0) - 1;
      rows[row] = f.to;
      f.row = row;
    }
    const shown = Math.min(Math.max(rows.length, 1), 8);
    return {
      id: "faults", title: "Faults", hint: faults.length ? "" : "none struck", label: `${faults.length} struck`, height: shown * 17 + 2,
      says: faults.length ? faults.map((f) => `${f.text}, from ${seconds(f.from)} to ${seconds(f.to)}`).join("; ") : "no fault struck",
      draw: (scale) => faults.filter((f) => f.row < 8).map((f) => bar(scale, f.from, Math.max(f.to, f.from + (scale.to - scale.from) / 400), 1 + f.row * 17, 15, `fault ${f.group}`, f.from < scale.from ? `◂ since ${seconds(f.from, 1e7)}: ${f.text}` : f.text, `${f.text}: ${seconds(f.from, 1e6)} to ${seconds(f.to, 1e6)}`)).join(""),
      y: (s) => (s.lane === "fault" ? 8 : undefined),
    };
  }

  clients(title, names, hint) {
    const of = new Map(names.map((n) => [n, []]));
    for (const o of this.state.operations) of.get(o.client)?.push(o);
    for (const list of of.values()) list.sort((a, b) => a.from - b.from);
    const rowHeight = 18;
    return {
      id: title.toLowerCase().replaceAll(" ", "-"), title, hint, labels: names, rowHeight, height: names.length * rowHeight + 2,
      says: names.map((n) => `${n}: ${of.get(n).length} operations`).join("; "),
      draw: (scale) => names.map((n, i) => this.operationsOf(scale, of.get(n), 1 + i * rowHeight)).join(""),
      y: (s) => (names.includes(s.host) && (s.lane === "client" || !s.lane) ? 1 + names.indexOf(s.host) * rowHeight + 8 : undefined),
    };
  }

  /** Operations of a client as bars; very short ones of many are drawn together, a column of pixels each. */
  operationsOf(scale, operations, y) {
    let out = "", shown = 0, right = -1, above = "";
    const bars = {}; // while the window moves: one path for all without a text, for each outcome
    const signs = { ok: "✓", failed: "✗", unknown: "?", open: "…", died: "…" }, columns = new Uint8Array(2001);
    const first = from(operations, scale.from - this.longest(operations), (o) => o.from);
    for (let i = first; i < operations.length && operations[i].from <= scale.to; i++) {
      const o = operations[i];
      if (o.to < scale.from) continue;
      const x0 = scale.x(o.from), x1 = scale.x(o.to), told = this.concerns(o);
      if (!told && (x1 - x0 < 7 || shown > 150)) {
        if (shown > 40 || x1 - x0 < 2.5) { this.crowd(columns, o, x0, x1); continue; }
      }
      shown++;
      const text = told || x0 >= right ? `${signs[o.outcome]} ${what(o)}` : ""; // several are under way at once
      if (scale.moving && !text) {
        const a = Math.max(x0, scale.left - 2), w = Math.max(1, Math.min(x1, scale.right + 2) - a).toFixed(1);
        bars[o.outcome] = (bars[o.outcome] || "") + `M${a.toFixed(1)} ${y}h${w}v15h-${w}z`;
        continue;
      }
      const drawn = bar(scale, o.from, o.to, y, 15, `op ${o.outcome}${told ? " told" : ""}`, text, () => describe(o));
      right = Math.max(right, x1);
      if (told) above += drawn; else out += drawn;
    }
    const paths = {}, together = Object.entries(bars).map(([outcome, d]) => `<path class="op ${outcome}" d="${d}"/>`).join("");
    for (let i = 0, end; i < columns.length; i = end) {
      for (end = i + 1; columns[end] === columns[i];) end++;
      if (columns[i]) paths[outcomes[columns[i]]] = (paths[outcomes[columns[i]]] || "") + `M${i * 2} ${y}H${end * 2}v15H${i * 2}z`;
    }
    return Object.entries(paths).map(([outcome, d]) => `<path class="crowd ${outcome}" d="${d}"><title>many operations: ${outcome}; go closer to see each</title></path>`).join("") + together + out + above;
  }

  /** Marks the pixels of an operation: of several the worst outcome is shown. */
  crowd(columns, o, x0, x1) {
    const rank = ranks[o.outcome], last = Math.min(x1 / 2, columns.length - 1);
    for (let i = Math.floor(Math.max(0, x0) / 2); i <= last; i++) if (columns[i] < rank) columns[i] = rank;
  }

  /** How long the longest of some operations took. */
  longest(operations) {
    if (operations.most === undefined) operations.most = operations.reduce((most, o) => Math.max(most, o.to - o.from), 0);
    return operations.most;
  }

  /** Whether a step of the story is this operation. */
  concerns(o) {
    this.told = this.told || new Set(this.view.steps.map((s) => s.op).filter((op) => op !== undefined));
    return this.told.has(o.index) || this.told.has(o.done);
  }

  partition(p) {
    const replicas = this.order(p), unstable = replicas.some((r) => r.unstable.length);
    const lanes = [{
      id: "decisions", title: `Partition ${p.name}`, hint: `━ log end offset  ┅ high watermark${unstable ? "  ┈ last stable offset, and what it hides from read_committed" : ""}  ▬ in the ISR  ╍ eligible (ELR)  ✂ truncation${this.record?.partition === p.name ? "  ▭ the record" : ""}`,
      label: p.decisions.length ? "controllers" : "", height: p.decisions.length ? 20 : 2,
      says: p.decisions.map((d) => `from ${seconds(d.from)} leader ${d.leader}, epoch ${d.epoch}, ISR ${d.isr.join(",")}`).join("; "),
      draw: (scale) => p.decisions.map((d) => bar(scale, d.from, d.to, 1, 17, "decision", decisionText(d), decisionText(d))).join(""),
      y: (s) => (s.lane === "controllers" || (!s.lane && s.host.startsWith("controller")) ? 10 : undefined),
    }];
    for (const r of replicas) lanes.push(this.replica(p, r));
    return lanes;
  }

  /** The first leader, then the others; that with a cut last, for there the story ends. */
  order(p) {
    const lastCut = (r) => (r.cuts.some((c) => c.from > c.to) ? 1 : 0);
    const first = p.decisions.length ? p.decisions[0].leader : -1, told = new Set(this.view.steps.map((s) => s.host));
    const shown = [...p.replicas.values()].filter((r) => p.decisions.length || r.votes || told.has(r.host)); // of the quorum its voters
    return (shown.length ? shown : [...p.replicas.values()]).sort((a, b) => lastCut(a) - lastCut(b) || (b.node === first) - (a.node === first) || a.node - b.node);
  }

  replica(p, r) {
    const top = 22, chart = 54;
    return {
      id: `replica-${r.host}`, label: r.host, strong: true, height: top + chart + 6,
      under: (t) => `end ━ ${valueAt(r.ends, t) ?? "?"}  hw ┅ ${valueAt(r.hws, t) ?? "?"}${r.unstable.length ? `  lso ┈ ${stableAt(r, t, this.state.end) ?? "?"}` : ""}`,
      says: `${r.host}: ` + r.roles.map((x) => `${x.role} in epoch ${x.epoch} from ${seconds(x.from)}`).join(", ") +
        r.cuts.map((c) => `; ${c.lost ? "lost" : "cut"} ${c.from} to ${c.to} at ${seconds(c.t)}`).join(""),
      draw: (scale) => this.drawReplica(scale, p, r, top, chart),
      y: (s, scale) => (s.host === r.host && (s.lane === "replica" || !s.lane) ? this.yOf(scale, p, top, chart, s) : undefined),
      remarkY: top + chart - 8,
    };
  }

  drawReplica(scale, p, r, top, chart) {
    let out = "";
    const up = this.state.host(r.host).up;
    for (const u of up) if (u.state !== "up") out += bar(scale, u.from, u.to, 0, 15, "down", u.state, `${r.host} is ${u.state}`);
    for (const x of r.roles) {
      out += x.role === "leader"
        ? bar(scale, x.from, x.to, 0, 15, "leader strong", `★ LEADER epoch ${x.epoch}`, `${r.host} leads ${p.name} in epoch ${x.epoch}`)
        : bar(scale, x.from, x.to, 0, 15, "follower", `${x.leader < 0 ? "no leader" : "follows " + x.leader} epoch ${x.epoch}`, `${r.host} follows ${x.leader < 0 ? "none" : x.leader} in epoch ${x.epoch}`);
    }
    for (const v of r.votes || []) {
      if (v.t < scale.from || v.t > scale.to) continue;
      const x = scale.x(v.t).toFixed(1);
      out += `<g><title>votes for ${v.candidate} in epoch ${v.epoch}</title><path class="vote" d="M${x} 15v5m-3 -3h6"/><text class="offset" x="${(Number(x) + 4).toFixed(1)}" y="22">votes ${v.candidate}, epoch ${v.epoch}</text></g>`;
    }
    for (const d of p.decisions) {
      const cls = d.isr.includes(r.node) ? "in-isr" : d.elr.includes(r.node) ? "in-elr" : "out-of-isr";
      const x0 = Math.max(scale.x(d.from), scale.left), x1 = Math.min(scale.x(d.to), scale.right);
      if (x1 > x0) out += `<line class="${cls}" x1="${x0.toFixed(1)}" x2="${x1.toFixed(1)}" y1="18.5" y2="18.5"><title>${cls.replaceAll("-", " ")}</title></line>`;
    }
    return out + this.drawLog(scale, p, r, top, chart);
  }

  drawLog(scale, p, r, top, chart) {
    const [low, high] = this.range(scale, p);
    const y = (at) => top + chart - (Math.min(Math.max(at, low), high) - low) / Math.max(1, high - low) * chart;
    let out = this.drawRecord(scale, p, r, y, low, high);
    if (high - low <= 14) {
      for (let o = Math.ceil(low); o <= high; o++) out += `<line class="grid" x1="${scale.left}" x2="${scale.right}" y1="${y(o).toFixed(1)}" y2="${y(o).toFixed(1)}"/><text class="offset" x="${scale.left + 2}" y="${(y(o) + 3).toFixed(1)}">${o}</text>`;
    } else {
      out += `<text class="offset" x="${scale.left + 2}" y="${top + 9}">${high}</text><text class="offset" x="${scale.left + 2}" y="${top + chart}">${low}</text>`;
    }
    const known = r.known.length ? r.known : [{ from: 0, to: this.state.end }];
    for (const k of known) {
      const within = (list) => {
        const start = Math.max(k.from, scale.from), first = valueAt(list, start);
        const inside = list.slice(from(list, start + 1, (q) => q.t), from(list, Math.min(k.to, scale.to) + 1, (q) => q.t));
        return first === undefined ? inside : [{ t: start, at: first }, ...inside];
      };
      const to = Math.min(k.to, scale.to);
      if (to < scale.from) continue;
      const hw = stepLine(scale, within(r.hws), y, k.from, to);
      const end = stepLine(scale, within(r.ends), y, k.from, to);
      const x1 = Math.min(scale.x(to), scale.right + 2).toFixed(1);
      if (hw) out += `<path class="below-hw" d="${hw}L${x1} ${top + chart}H${Math.max(scale.x(k.from), scale.left - 2).toFixed(1)}Z"/><path class="hw" d="${hw}"/>`;
      if (end) out += `<path class="end" d="${end}"/>`;
    }
    out += this.drawUnstable(scale, r, y);
    for (const c of r.cuts) {
      if (c.from <= c.to || c.t < scale.from || c.t > scale.to) continue;
      const x = scale.x(c.t);
      const text = `${c.lost ? "⚡ LOST" : "✂ CUT"} ${c.from}→${c.to}`;
      out += `<line class="cut" x1="${x.toFixed(1)}" x2="${x.toFixed(1)}" y1="${y(c.from).toFixed(1)}" y2="${y(c.to).toFixed(1)}"/>` +
        `<text class="cut-text" x="${(x > scale.right - 110 ? x - 12 : x + 12).toFixed(1)}" y="${(top + 10).toFixed(1)}" text-anchor="${x > scale.right - 110 ? "end" : "start"}">${text}</text>`;
    }
    return out;
  }

  /** The last stable offset where it is below the high watermark, and what lies between. */
  drawUnstable(scale, r, y) {
    let lines = "", hidden = "", lastX = -9;
    for (let i = from(r.unstable, scale.from, (u) => u.to); i < r.unstable.length && r.unstable[i].from <= scale.to; i++) {
      const u = r.unstable[i], x0 = Math.max(scale.x(u.from), scale.left), x1 = Math.min(scale.x(u.to), scale.right);
      if (x1 - lastX < 0.7) continue; // it would be drawn over the one before
      lastX = x1;
      const hw = valueAt(r.hws, Math.min(u.to, scale.to)) ?? u.at, bottom = y(u.at).toFixed(1);
      lines += `M${x0.toFixed(1)} ${bottom}H${x1.toFixed(1)}`;
      hidden += `M${x0.toFixed(1)} ${bottom}V${y(Math.max(hw, u.at)).toFixed(1)}H${x1.toFixed(1)}V${bottom}Z`;
    }
    return lines ? `<path class="unstable-part" d="${hidden}"/><path class="lso" d="${lines}"/>` : "";
  }

  /** The heights of a step in the chart of a replica. */
  yOf(scale, p, top, chart, s) {
    if (s.offset === undefined) return top + chart / 2;
    const [low, high] = this.range(scale, p), at = Math.min(Math.max(s.offset + 0.5, low), high);
    return Math.round(top + chart - (at - low) / Math.max(1, high - low) * chart);
  }

  /** The record while the replica has it, and a hatch once it is gone. */
  drawRecord(scale, p, r, y, low, high) {
    const record = this.record;
    if (!record || record.partition !== p.name || record.last < low || record.first > high) return "";
    const top = Math.min(y(record.last + 1), y(record.first) - 4), height = Math.max(4, y(record.first) - top);
    let out = "";
    for (const b of (r.batches || []).filter((b) => b.epoch === record.epoch && b.from <= record.first && record.first < b.end)) {
      const gone = r.cuts.find((c) => c.t >= b.t && c.to <= record.first && c.from > record.first);
      const x0 = Math.max(scale.x(b.t), scale.left), x1 = Math.min(gone ? scale.x(gone.t) : scale.x(this.state.end), scale.right);
      if (x1 > x0) {
        out += `<rect class="record" x="${x0.toFixed(1)}" y="${top.toFixed(1)}" width="${(x1 - x0).toFixed(1)}" height="${height.toFixed(1)}"><title>${esc(r.host)} has the record</title></rect>`;
        if (!gone && x1 - x0 > 80) out += `<text class="record-text" x="${(x1 - 4).toFixed(1)}" y="${(top + height / 2 + 4).toFixed(1)}" text-anchor="end">still here ▸</text>`;
      }
      if (gone && scale.x(gone.t) < scale.right) out += `<rect class="gone" x="${Math.max(scale.x(gone.t), scale.left).toFixed(1)}" y="${top.toFixed(1)}" width="${(scale.right - Math.max(scale.x(gone.t), scale.left)).toFixed(1)}" height="${height.toFixed(1)}"><title>${esc(r.host)} does not have the record any more</title></rect>`;
    }
    return out;
  }

  /** The offsets in view: the same for all replicas of a partition, or heights lie. */
  range(scale, p) {
    scale.ranges = scale.ranges || new Map(); // of this window: asked for by each replica and each step
    if (!scale.ranges.has(p)) scale.ranges.set(p, this.rangeOf(scale, scale.alike?.(p.name) || [p]));
    return scale.ranges.get(p);
  }

  /** Of several partitions: those of runs that are compared are drawn alike. */
  rangeOf(scale, partitions) {
    let low = Infinity, high = -Infinity;
    const see = (at) => { low = Math.min(low, at); high = Math.max(high, at); };
    for (const r of partitions.flatMap((p) => [...p.replicas.values()])) {
      for (const list of [r.ends, r.hws]) {
        const first = valueAt(list, scale.from);
        if (first !== undefined) see(first);
        for (let i = from(list, scale.from, (q) => q.t); i < list.length && list[i].t <= scale.to; i++) see(list[i].at);
      }
    }
    return low > high ? [0, 1] : [low, Math.max(high, low + 1)];
  }

  messages() {
    const hosts = [...new Set(this.state.messages.flatMap((m) => [m.sender, m.receiver]))].sort((a, b) => rank(a) - rank(b) || byName(a, b));
    const row = 21;
    return {
      id: "messages", title: "Messages near the story", hint: `${count(this.state.messages.length)} kept; dotted: lost, or held for longer than the page shows`,
      labels: hosts, rowHeight: row, height: hosts.length * row,
      says: `${this.state.messages.length} messages between ${hosts.join(", ")}`,
      draw: (scale) => hosts.map((_, i) => `<line class="grid" x1="${scale.left}" x2="${scale.right}" y1="${i * row + 10}" y2="${i * row + 10}"/>`).join("") +
        this.state.messages.map((m) => this.message(scale, m, hosts, row)).join(""),
    };
  }

  message(scale, m, hosts, row) {
    if (m.from > scale.to || (m.to || m.from) < scale.from) return "";
    const x0 = scale.x(m.from), x1 = m.to ? scale.x(m.to) : x0 + 8;
    const y0 = hosts.indexOf(m.sender) * row + 10, y1 = hosts.indexOf(m.receiver) * row + 10;
    const cls = m.to ? (m.error ? "message refused" : "message") : "message lost";
    const text = `${m.api} ${m.direction} #${m.correlation}, ${m.sender} to ${m.receiver}${m.error ? `, error code ${m.error}` : ""}${m.to ? `, ${lasting(m.to - m.from)}` : ", not arrived"}`;
    const label = m.to && !m.error && Math.abs(x1 - x0) > 26 && m.direction === "request" ? `<text class="message-text" x="${((x0 + x1) / 2 + 3).toFixed(1)}" y="${((y0 + y1) / 2 + 3).toFixed(1)}">${esc(m.api)}</text>` : "";
    return titled(scale, text, `${label}<line class="${cls}" x1="${x0.toFixed(1)}" y1="${y0}" x2="${x1.toFixed(1)}" y2="${m.to ? y1 : y0 + (y1 - y0) / 3}"/>` +
      (m.to ? `<circle class="${cls}" cx="${x1.toFixed(1)}" cy="${y1}" r="2"/>` : `<text class="message-lost" x="${x1.toFixed(1)}" y="${y0 + (y1 - y0) / 3}">✗</text>`));
  }

  group(g) {
    const lanes = [{
      id: `group-${g.name}`, title: `Group ${g.name}`, hint: `who owns each partition, as the members believe${g.staged.size ? "; ┈ offsets that wait for the marker of a transaction" : ""}`, label: "coordinator", height: 20,
      says: g.states.map((s) => `${s.state} from ${seconds(s.from)}`).join("; ") || "no state is known",
      draw: (scale) => g.states.map((s) => bar(scale, s.from, s.to, 1, 17, s.state === "Stable" ? "decision" : "unstable", `${s.state} ${s.generation >= 0 ? "generation " + s.generation : ""}`)).join(""),
      y: (s) => (s.lane === "group" && (!this.why?.group || this.why.group === g.name) && !(g.owners.get(s.partition) || []).some((o) => o.member === s.host) ? 10 : undefined),
      remarkY: 10,
    }];
    const members = [...new Set([...g.owners.values()].flat().map((o) => o.member))].sort(byName);
    const names = [...g.owners.keys()].sort(byPartition), concerned = this.why?.partition;
    if (names.includes(concerned)) names.sort((a, b) => (b === concerned) - (a === concerned)); // the sort keeps the order of the others
    for (const name of names) {
      const owners = g.owners.get(name), position = this.positionIn(g, name);
      lanes.push({
        id: `owner-${g.name}-${name}`, label: name, strong: name === concerned, height: position.length ? 52 : 20,
        under: position.length ? (t) => `read ━ ${valueAt(position, t) ?? "?"}  committed ┅ ${valueAt(g.committed.get(name) || [], t) ?? "?"}` : undefined,
        says: owners.map((o) => `${o.member} from ${seconds(o.from)} to ${seconds(o.to)}`).join("; "),
        draw: (scale) => this.owners(scale, owners, members) + this.progress(scale, position, g.committed.get(name) || [], g.staged.get(name) || []),
        y: (s) => (s.lane === "group" && s.partition === name && owners.some((o) => o.member === s.host) ? 10 : undefined),
        remarkY: 10,
      });
    }
    return lanes;
  }

  /** A transactional id: what its coordinator has it in, and a row for each partition up to its marker. */
  transaction(x) {
    const story = this.why?.transaction === x.id;
    const lanes = [{
      id: `txn-${x.id}`, title: `Transactional id ${x.id}`, hint: "▨ open  ✓ commit marker  ✗ abort marker  ⊘ fenced", label: "coordinator", height: 20,
      says: `${x.states.length} states; ` + x.states.slice(-8).map((s) => `${s.state}, epoch ${s.epoch}, from ${seconds(s.from)}`).join("; "),
      draw: (scale) => this.txnStates(scale, x.states, 1) + x.marks.filter((m) => !m.partition).map((m) => txnMark(scale, m)).join(""),
      y: (s) => (s.lane === "transaction" && story && !x.spans.has(s.partition) ? 10 : undefined),
      remarkY: 10,
    }];
    const names = [...x.spans.keys()].sort(byPartition), concerned = this.why?.partition;
    if (names.includes(concerned)) names.sort((a, b) => (b === concerned) - (a === concerned));
    for (const name of names) {
      const spans = x.spans.get(name);
      lanes.push({
        id: `txn-${x.id}-${name}`, label: name, strong: story && name === concerned, height: 19,
        says: `${name}: ${spans.length} transactions; ` + spans.slice(-8).map((s) => `${spanText(s)}, from ${seconds(s.from)} to ${seconds(s.to)}`).join("; "),
        draw: (scale) => this.spans(scale, spans) + x.marks.filter((m) => m.partition === name).map((m) => txnMark(scale, m)).join(""),
        y: (s) => (s.lane === "transaction" && story && s.partition === name ? 10 : undefined),
        remarkY: 10,
      });
    }
    return lanes;
  }

  /** The states of a transactional id; those of many that are very short are drawn together. */
  txnStates(scale, states, y) {
    return this.many(scale, states, y, txnClass, (s) => `${txnSigns[s.state] || ""}${s.state} epoch ${s.epoch}`, (s) => `${s.state}, producer ${s.producer}, epoch ${s.epoch}, at ${s.host}, with ${s.partitions.join(", ") || "no partitions"}; ${seconds(s.from, 1e3)} to ${seconds(s.to, 1e3)}`);
  }

  spans(scale, spans) {
    return this.many(scale, spans, 1, (s) => `span ${s.end || "open"}`, spanText, (s) => `${spanText(s)}; ${seconds(s.from, 1e3)} to ${seconds(s.to, 1e3)}`);
  }

  /** Bars of stretches. Those narrower than three pixels are drawn together, a path for each class. */
  many(scale, list, y, cls, text, title) {
    let out = "";
    const paths = {};
    for (let i = from(list, scale.from, (s) => s.to); i < list.length && list[i].from <= scale.to; i++) {
      const s = list[i], x0 = scale.x(s.from), x1 = scale.x(s.to), c = cls(s);
      if (x1 - x0 >= 3) { out += bar(scale, s.from, s.to, y, 16, c, text(s), () => title(s)); continue; }
      const at = Math.floor(Math.max(x0, scale.left) * 2) / 2, p = (paths[c] = paths[c] || { d: "", last: -9 });
      if (at - p.last < 0.5) continue;
      p.d += `M${at} ${y}h${Math.max(1, x1 - x0).toFixed(1)}v16h${(-Math.max(1, x1 - x0)).toFixed(1)}z`;
      p.last = at;
    }
    return Object.entries(paths).map(([c, p]) => `<path class="${c} short" d="${p.d}"><title>several, one after another; go closer to see each</title></path>`).join("") + out;
  }

  otherTransactions(chosen) {
    const names = [...this.state.transactions.keys()].filter((id) => id !== chosen?.id).sort(byName), row = 18;
    return {
      id: "other-transactions", title: "Other transactional ids", hint: "x: the next one in focus", labels: names, rowHeight: row, height: names.length * row + 2, buttons: "txn",
      says: names.join(", "),
      draw: (scale) => names.map((n, i) => this.txnStates(scale, this.state.transactions.get(n).states, 1 + i * row)).join(""),
    };
  }

  /** Where the members have read a partition to. */
  positionIn(g, name) {
    const members = new Set((g.owners.get(name) || []).map((o) => o.member));
    return this.state.positions.filter((p) => p.partition === name && members.has(p.client));
  }

  /** Two lines below the owners: position, and committed offset. */
  progress(scale, position, committed, staged) {
    if (!position.length) return "";
    let low = Infinity, high = -Infinity;
    staged = staged.slice(from(staged, scale.from, (s) => s.to)).filter((s) => s.from <= scale.to);
    for (const s of staged) { low = Math.min(low, s.offset); high = Math.max(high, s.offset); }
    for (const list of [position, committed]) {
      const first = valueAt(list, scale.from);
      if (first !== undefined) { low = Math.min(low, first); high = Math.max(high, first); }
      for (const q of list.slice(from(list, scale.from, (p) => p.t), from(list, scale.to + 1, (p) => p.t))) { low = Math.min(low, q.at); high = Math.max(high, q.at); }
    }
    if (low > high) return "";
    const y = (at) => 49 - (at - low) / Math.max(1, high - low) * 27, to = Math.min(this.state.end, scale.to);
    const line = (list, cls) => {
      const d = list.length ? stepLine(scale, before(list, scale.from), y, 0, to) : "";
      return d ? `<path class="${cls}" d="${d}"/>` : "";
    };
    let pending = "", lastX = -9;
    for (const s of staged) {
      const x0 = Math.max(scale.x(s.from), scale.left), x1 = Math.min(scale.x(s.to), scale.right);
      if (x1 - lastX > 0.7) { pending += `M${x0.toFixed(1)} ${y(s.offset).toFixed(1)}H${Math.max(x1, x0 + 1).toFixed(1)}`; lastX = x1; }
    }
    return (pending ? `<path class="staged" d="${pending}"><title>offsets that a transaction is to commit</title></path>` : "") + line(committed, "hw") + line(position, "end") + `<text class="offset" x="${scale.left + 2}" y="28">${high}</text>`;
  }

  owners(scale, owners, members) {
    let out = "", covered = owners.length ? owners[0].from : 0;
    for (const o of [...owners].sort((a, b) => a.from - b.from)) {
      if (o.from > covered) out += bar(scale, covered, o.from, 2, 15, "unowned", `no owner ${lasting(o.from - covered)}`);
      const two = o.from < covered;
      out += bar(scale, o.from, o.to, two ? 9 : 2, two ? 9 : 15, `owner owner-${members.indexOf(o.member) % 6}${two ? " two" : ""}`, `${two ? "⚠ TWO OWNERS " : ""}${o.member} generation ${o.generation}`);
      covered = Math.max(covered, o.to);
    }
    if (covered < this.state.end) out += bar(scale, covered, this.state.end, 2, 15, "unowned", `no owner ${lasting(this.state.end - covered)}`);
    return out;
  }

  others(names) {
    const row = 18;
    return {
      id: "others", title: "Other partitions", hint: "p: the next one in focus", labels: names, rowHeight: row, height: names.length * row + 2, buttons: "focus",
      says: names.join(", "),
      draw: (scale) => names.map((n, i) => this.state.partitions.get(n).decisions.map((d) => bar(scale, d.from, d.to, 1 + i * row, 15, d.leader < 0 ? "down" : "follower", decisionText(d))).join("")).join(""),
    };
  }

  hosts() {
    const hosts = [...this.state.hosts.values()].filter((h) => h.up.some((u) => u.state !== "up"));
    const row = 17;
    return {
      id: "hosts", title: "Hosts that did not run all the time", labels: hosts.map((h) => h.name), rowHeight: row, height: Math.max(4, hosts.length * row),
      says: hosts.map((h) => h.up.filter((u) => u.state !== "up").map((u) => `${h.name} is ${u.state} from ${seconds(u.from)} to ${seconds(u.to)}`).join("; ")).join("; ") || "all hosts ran all the time",
      draw: (scale) => hosts.map((h, i) => h.up.map((u) => bar(scale, u.from, u.to, 1 + i * row, 14, u.state === "up" ? "up" : "down", u.state === "up" ? "" : u.state, `${h.name}: ${u.state}`)).join("")).join(""),
    };
  }

  latency() {
    const acks = this.state.acks, high = Math.max(...acks.map((a) => a.took).slice(0, 1e5), 1e6), wide = 6;
    const took = Float64Array.from(acks, (a) => a.took); // as they were answered
    const y = (took) => 60 - Math.log10(Math.max(took, 1e5) / 1e5) / Math.max(1, Math.log10(high / 1e5)) * 52;
    const rule = (took) => `<line class="grid" x1="0" x2="100%" y1="${y(took)}" y2="${y(took)}"/><text class="offset" x="2" y="${y(took) - 2}">${lasting(took)}</text>`;
    return {
      id: "latency", title: "Acknowledgements", hint: "from send to acknowledgement, logarithmic: ▮ slowest, ◆ 99 of 100, ● half within", label: `to ${lasting(high)}`, height: 64,
      says: `${acks.length} acknowledged sends, the slowest took ${lasting(high)}`,
      draw: (scale) => {
        const bins = [], last = from(acks, scale.to + 1, (a) => a.t);
        for (let i = from(acks, scale.from, (a) => a.t); i < last;) {
          const x = Math.round(scale.x(acks[i].t) / wide) * wide, begun = i;
          while (i < last && Math.round(scale.x(acks[i].t) / wide) * wide === x) i++;
          bins.push([x, took.slice(begun, i).sort()]);
        }
        const quantile = (list, q) => list[Math.max(0, Math.ceil(list.length * q) - 1)];
        const marks = bins.map(([x, list]) => {
          const most = list[list.length - 1], p99 = quantile(list, 0.99), p50 = quantile(list, 0.5);
          return {
            title: () => `${list.length}: half within ${lasting(p50)}, 99 of 100 within ${lasting(p99)}, slowest ${lasting(most)}`,
            slowest: `M${x - 2} ${y(most).toFixed(1)}h4V62h-4z`, p99: list.length > 2 ? `M${x} ${(y(p99) - 3).toFixed(1)}l3 3l-3 3l-3 -3z` : "",
            p50: `M${x - 2} ${y(p50).toFixed(1)}a2 2 0 1 0 4 0a2 2 0 1 0 -4 0z`,
          };
        });
        const paths = (of) => ["slowest", "p99", "p50"].map((cls) => `<path class="${cls}" d="${of.map((m) => m[cls]).join("")}"/>`).join("");
        return [1e6, 1e8, 1e10].filter((t) => t < high).map(rule).join("") + (scale.moving ? paths(marks) : marks.map((m) => titled(scale, m.title, paths([m]))).join(""));
      },
    };
  }

  rate() {
    const acks = this.state.acks;
    return {
      id: "rate", title: "Acknowledged records a second", hint: this.run.left?.["operations far from the story"] ? `${count(this.run.left["operations far from the story"])} operations far from the story are left out, here too` : "", label: "", height: 44,
      says: `${acks.length} records were acknowledged`,
      draw: (scale) => {
        const bars = 120, width = (scale.right - scale.left) / bars, rates = [];
        for (let i = 0; i < bars; i++) {
          const a = scale.inverse(scale.left + i * width), b = scale.inverse(scale.left + (i + 1) * width);
          const wide = Math.max(b - a, 20e6);
          const n = within(acks, (a + b) / 2 - wide / 2, (a + b) / 2 + wide / 2);
          rates.push(n / wide * 1e9);
        }
        const most = Math.max(...rates, 1);
        const column = (r, i) => `M${(scale.left + i * width).toFixed(1)} 42v${(-r / most * 40).toFixed(1)}h${(width - 0.5).toFixed(1)}V42z`;
        return (scale.moving ? `<path class="rate" d="${rates.map(column).join("")}"/>` : rates.map((r, i) => `<path class="rate" d="${column(r, i)}"><title>${count(r)} a second</title></path>`).join("")) +
          `<text class="offset" x="${scale.left + 2}" y="9">${count(most)}</text>`;
      },
    };
  }
}

const txnSigns = { Ongoing: "▨ ", PrepareCommit: "✓ ", CompleteCommit: "✓ ", PrepareAbort: "✗ ", CompleteAbort: "✗ " };

/** How a state of a transactional id is drawn. */
const txnClass = (s) => `txn ${{ Ongoing: "open", PrepareCommit: "decided-commit", PrepareAbort: "decided-abort", CompleteCommit: "commit", CompleteAbort: "abort" }[s.state] || "idle"}`;

/** What became of a transaction in a partition. */
function spanText(s) {
  const epoch = s.markerEpoch ?? s.epoch;
  if (s.end === "commit") return `✓ commit, epoch ${epoch}, marker at ${s.at}`;
  if (s.end === "abort") return `✗ abort, epoch ${epoch}, marker at ${s.at}`;
  if (s.end === "none") return `⚠ no marker, epoch ${s.epoch}`;
  return s.decided ? `▨ ${s.decided} decided, no marker yet, epoch ${s.epoch}` : `▨ open, epoch ${s.epoch}`;
}

/** What happened to a transactional id at a moment, in a few words. */
function txnMark(scale, m) {
  if (m.t < scale.from || m.t > scale.to) return "";
  const x = scale.x(m.t), end = x > scale.right - 120;
  return `<g><title>${esc(m.title || m.text)}</title><line class="cut" x1="${x.toFixed(1)}" x2="${x.toFixed(1)}" y1="0" y2="19"/><text class="cut-text" x="${(x + (end ? -12 : 12)).toFixed(1)}" y="13" text-anchor="${end ? "end" : "start"}">${esc(m.text)}</text></g>`;
}

/** The last stable offset of a replica: its high watermark, unless a transaction is open below. */
function stableAt(r, t, end) {
  const u = r.unstable[from(r.unstable, t, (u) => u.to)];
  return u && u.from <= t && (t < u.to || u.to === end) ? u.at : valueAt(r.hws, t);
}

/** The index of the first of sorted things that is not before t. */
function from(list, t, timeOf) {
  let low = 0, high = list.length;
  while (low < high) { const mid = (low + high) >> 1; if (timeOf(list[mid]) < t) low = mid + 1; else high = mid; }
  return low;
}

/** How many of sorted points lie between two times. */
const within = (points, a, b) => from(points, b, (p) => p.t) - from(points, a, (p) => p.t);

/** The points of a list from the last one before a time on. */
const before = (list, t) => list.slice(Math.max(0, from(list, t + 1, (p) => p.t) - 1));

/** Clients above, then brokers, then controllers. */
const rank = (host) => (host.startsWith("broker") || host.startsWith("node") ? 1 : host.startsWith("controller") ? 2 : 0);

function decisionText(d) {
  return `leader ${d.leader < 0 ? "none" : d.leader} epoch ${d.epoch} isr ${d.isr.join(",")}${d.elr.length ? " elr " + d.elr.join(",") : ""}`;
}

/** The first few of a list in words, and how many more there are. */
const few = (list, text, most = 3) => list.slice(0, most).map(text).join(", ") + (list.length > most ? ` and ${count(list.length - most)} more` : "");

/** An operation in a few letters: of many records the first ones. */
function what(o) {
  const sent = (most) => few(o.sends, (s) => `${s.value}${s.offset >= 0 ? " → " + s.offset : ""}`, most);
  const read = () => "read " + few(o.polled, (p) => `${p.partition} ${p.first}${p.last > p.first ? ".." + p.last : ""}`);
  if (o.f === "send") return sent();
  if (o.f === "txn") return ["txn", o.sends.length ? sent(1) : "", o.polled.length ? read() : "", o.marks.length ? "commits " + few(o.marks, (m) => `${m.partition} ${m.offset}`) : ""].filter(Boolean).join(" · ");
  if (o.polled.length) return read();
  if (o.marks.length) return `${o.f} ` + few(o.marks, (m) => `${m.partition} ${m.offset}`);
  return o.f;
}

/** An operation in full. */
function describe(o) {
  const end = { ok: "ok", failed: "refused", unknown: "outcome unknown", open: "still open at the end", died: "open when its process died" }[o.outcome];
  return `#${o.index} ${o.client}: ${o.f} ${what(o)}; ${end}${o.error ? ": " + o.error : ""}; ${seconds(o.from, 1e3)} to ${seconds(o.to, 1e3)} (${lasting(o.to - o.from)})`;
}
