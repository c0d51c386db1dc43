"use strict";
// The packed run: events as objects, in order.

/** Reads the run that is packed into the page. */
async function readRun() {
  const text = document.getElementById("data").textContent.trim();
  const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const plain = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  const run = await new Response(plain).json();
  if (run.format !== "ktrial-page/1") {
    throw new Error(`found a run of format ${run.format}, expected ktrial-page/1`);
  }
  let t = 0;
  run.events = (run.events || []).map(([dt, host, kind, fields, say], index) => {
    t += dt;
    return { index, t, host: run.hosts[host], kind: run.kinds[kind], say, ...fields, at_offset: fields.at };
  });
  run.end = Math.max(run.end, t);
  return run;
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
