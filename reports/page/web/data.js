"use strict";
// The packed run: events as objects, in order.

/** Reads a run that is packed into the page. */
async function readRun(id = "data") {
  const text = document.getElementById(id).textContent.trim();
  const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const plain = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return unpack(await new Response(plain).json());
}

const pageFormat = "ktrial-page/2";

/** The events of a packed run as objects, in order; clients' operations are two each. */
function unpack(run) {
  if (run.format !== pageFormat) throw new Error(`found a run of format ${run.format}, expected ${pageFormat}`);
  for (const list of ["violations", "allowed", "checks", "faults"]) run.report[list] ||= [];
  const told = toldEvents(run), done = operationEvents(run);
  run.events = [];
  let i = 0, j = 0;
  while (i < told.length || j < done.length) {
    const next = j >= done.length || (i < told.length && told[i].t <= done[j].t) ? told[i++] : done[j++];
    next.index = run.events.length;
    run.events.push(next);
  }
  run.end = Math.max(run.end, run.events.length ? run.events[run.events.length - 1].t : 0);
  run.stepped = run.story?.why?.steps || [];
  return run;
}

/** The events that are told by nodes, the world, the nemesis. */
function toldEvents(run) {
  const out = new Array(run.t.length), at = {}, ends = new Map(), marks = new Map(), appended = run.columns.appended, moved = run.columns["high-watermark-moved"];
  let t = 0, rest = 0;
  const grow = (map, host, partition, by) => {
    const key = host * 65536 + partition, now = (map.get(key) || 0) + by;
    map.set(key, now);
    return now;
  };
  for (let i = 0; i < out.length; i++) {
    t += run.t[i];
    const kind = run.kinds[run.k[i]], host = run.h[i], e = { index: 0, t, host: run.hosts[host], kind };
    const n = (at[kind] = (at[kind] ?? -1) + 1);
    if (kind === "appended" && appended) {
      const partition = appended.partition[n];
      e.node = appended.node[n];
      e.partition = run.texts[partition];
      e.from = grow(ends, host, partition, appended.from[n]);
      e.end = grow(ends, host, partition, appended.end[n]);
      e.epoch = appended.epoch[n];
    } else if (kind === "high-watermark-moved" && moved) {
      e.node = moved.node[n];
      e.partition = run.texts[moved.partition[n]];
      e.to = grow(marks, host, moved.partition[n], moved.to[n]);
    } else {
      const [fields, say] = run.rest[rest++];
      Object.assign(e, fields, { at_offset: fields.at });
      if (say) e.say = say;
    }
    out[i] = e;
  }
  return out;
}

/** How an operation began and how it ended, in the order of time. */
function operationEvents(run) {
  const o = run.operations, out = [], texts = run.texts, n = { sends: 0, polled: 0, marks: 0 };
  let from = 0, op = 0;
  const list = (name, i, make) => {
    const length = o[name].n[i], first = n[name];
    n[name] += length;
    return Array.from({ length }, (_, j) => make(o[name].fields, first + j));
  };
  for (let i = 0; i < o.from.length; i++) {
    from += o.from[i];
    op += o.op[i];
    const host = run.hosts[o.client[i]], f = texts[o.f[i]], ended = o.took[i] >= 0;
    const sends = list("sends", i, (s, j) => ({ partition: texts[s.partition[j]], value: o.sends.values[j], offset: s.offset[j], epoch: s.epoch[j] }));
    const polled = list("polled", i, (p, j) => ({ partition: texts[p.partition[j]], first: p.first[j], last: p.last[j], epoch: p.epoch[j] }));
    const marks = list("marks", i, (m, j) => ({ kind: texts[m.kind[j]], partition: texts[m.partition[j]], offset: m.offset[j] }));
    const both = { host, client: host, process: o.process[i], f, partition: sends[0]?.partition };
    out.push({ index: 0, t: from, kind: "operation-invoked", op, ...both, sends });
    if (ended) {
      out.push({ index: 0, t: from + o.took[i], kind: "operation-completed", op: op + o.done[i], ...both, partition: both.partition || polled[0]?.partition,
        outcome: texts[o.outcome[i]], error: texts[o.error[i]], sends, polled, marks });
    }
  }
  return out.sort((a, b) => a.t - b.t);
}

/** "6.0539 s": as many digits as tell times apart that are so many ns from each other. */
function seconds(t, apart = 1e6) {
  const digits = Math.min(9, Math.max(0, Math.ceil(-Math.log10(Math.max(apart, 1) / 1e9))));
  return `${(t / 1e9).toFixed(digits)} s`;
}

/** "12.0 ms": a length of time in the unit that suits it. */
function lasting(ns) {
  const units = [[1e9, "s"], [1e6, "ms"], [1e3, "µs"], [1, "ns"]];
  const [unit, name] = units.find(([u]) => Math.abs(ns) >= u) || units[3];
  return `${(ns / unit).toPrecision(3)} ${name}`;
}

const count = (n) => Math.round(n).toLocaleString("en-US");

/** Partitions sorted by topic, then by number. */
function byPartition(a, b) {
  const [at, an] = [a.slice(0, a.lastIndexOf("/")), Number(a.slice(a.lastIndexOf("/") + 1))];
  const [bt, bn] = [b.slice(0, b.lastIndexOf("/")), Number(b.slice(b.lastIndexOf("/") + 1))];
  return at < bt ? -1 : at > bt ? 1 : an - bn;
}

/** Names sorted as people count: broker-2 before broker-10. */
const byName = (a, b) => a.localeCompare(b, "en", { numeric: true });
