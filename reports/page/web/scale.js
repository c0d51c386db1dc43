// Time on the page. Folded: between two landmarks that are dt apart lies a width of
// log(1 + dt/τ), so that what happens within microseconds and what takes seconds are
// both seen; between them time is linear. The scale is monotone and has an inverse.

class Scale {
  /** mode: "linear", "folded" or "steps"; landmarks: times, sorted; apart: times that, folded, keep some distance. */
  constructor(mode, from, to, landmarks, left, right, apart = []) {
    Object.assign(this, { mode, from, to, left, right });
    const inside = landmarks.filter((t) => t > from && t < to);
    this.times = [from, ...new Set(inside), to].sort((a, b) => a - b);
    const tau = Math.max(20e3, (to - from) / 2000);
    const widths = [];
    for (let i = 1; i < this.times.length; i++) {
      const dt = this.times[i] - this.times[i - 1];
      widths.push(mode === "linear" ? dt : mode === "steps" ? 1 : Math.log1p(dt / tau));
    }
    if (mode === "folded") this.keepApart(widths, apart);
    const sum = widths.reduce((a, b) => a + b, 0) || 1;
    this.xs = [left];
    for (const w of widths) this.xs.push(this.xs[this.xs.length - 1] + (w / sum) * (right - left));
    this.xs[this.xs.length - 1] = right;
  }

  /** Widens what lies between two neighbours of some times that would be drawn over each other. */
  keepApart(widths, apart) {
    const times = [...new Set(apart)].filter((t) => t >= this.from && t <= this.to).sort((a, b) => a - b);
    const room = this.right - this.left, least = Math.min(24, room / 2 / Math.max(1, times.length));
    const pixel = widths.reduce((a, b) => a + b, 0) / room;
    for (let i = 1; i < times.length; i++) {
      const first = this.find(this.times, times[i - 1]), last = Math.min(this.times.indexOf(times[i]), widths.length);
      const between = widths.slice(first, last).reduce((a, b) => a + b, 0);
      if (between <= 0 || between >= least * pixel) continue;
      for (let j = first; j < last; j++) widths[j] *= least * pixel / between;
    }
  }

  /** The position of a time, also of one outside of the window. */
  x(t) {
    if (t <= this.from) return this.left - (this.from - t) / Math.max(1, this.to - this.from) * (this.right - this.left);
    if (t >= this.to) return this.right + (t - this.to) / Math.max(1, this.to - this.from) * (this.right - this.left);
    const i = this.find(this.times, t);
    return this.mix(t, this.times, this.xs, i);
  }

  /** The time at a place. */
  inverse(x) {
    if (x <= this.left) return this.from - (this.left - x) / (this.right - this.left) * (this.to - this.from);
    if (x >= this.right) return this.to + (x - this.right) / (this.right - this.left) * (this.to - this.from);
    const i = this.find(this.xs, x);
    return this.mix(x, this.xs, this.times, i);
  }

  find(list, value) {
    let low = 0, high = list.length - 1;
    while (high - low > 1) {
      const mid = (low + high) >> 1;
      if (list[mid] <= value) low = mid; else high = mid;
    }
    return low;
  }

  mix(value, from, to, i) {
    const d = from[i + 1] - from[i];
    return d === 0 ? to[i] : to[i] + (value - from[i]) / d * (to[i + 1] - to[i]);
  }

  /** Stretches in which much time is put into little room: [{from, to}]. */
  folds() {
    if (this.mode !== "folded") return [];
    const rates = [];
    for (let i = 1; i < this.times.length; i++) rates.push((this.times[i] - this.times[i - 1]) / Math.max(1e-6, this.xs[i] - this.xs[i - 1]));
    const median = [...rates].sort((a, b) => a - b)[rates.length >> 1];
    const out = [];
    rates.forEach((rate, i) => {
      if (rate > 3 * median && this.xs[i + 1] - this.xs[i] > 18) out.push({ from: this.times[i], to: this.times[i + 1] });
    });
    return out;
  }

  /** Times for marks on the axis, at least so many pixels apart. */
  ticks(apart) {
    const out = [];
    for (let x = this.left; x <= this.right - apart / 2; x += apart) out.push(this.inverse(x));
    return out;
  }
}

/** The times around which something happens, for a partition in focus. Of appends and
 * high watermarks only those within 2 of the record: or the noise gets all the room. */
function landmarksOf(state, steps, focus, record) {
  const out = steps.map((s) => s.t);
  if (record && record.partition === focus) {
    const p = state.partitions.get(focus);
    for (const r of p ? p.replicas.values() : []) {
      for (const list of [r.ends, r.hws]) for (const q of list) if (q.at >= record.first - 2 && q.at <= record.last + 3) out.push(q.t);
    }
  }
  for (const f of state.faults) if (f) out.push(f.from, f.to);
  for (const h of state.hosts.values()) for (const u of h.up) out.push(u.from);
  for (const c of state.controllers) out.push(c.from);
  const p = state.partitions.get(focus);
  if (p) {
    for (const d of p.decisions) out.push(d.from);
    for (const r of p.replicas.values()) {
      for (const role of r.roles) out.push(role.from);
      for (const cut of r.cuts) out.push(cut.t);
      for (const k of r.known) out.push(k.from);
    }
  }
  for (const g of state.groups.values()) {
    for (const s of g.states) out.push(s.from);
    for (const owners of g.owners.values()) for (const o of owners) out.push(o.from, o.to);
  }
  return [...new Set(out)].sort((a, b) => a - b);
}
