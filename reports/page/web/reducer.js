// What was true when. One pass over the events gives for each thing the stretches of
// time in which it was in one state: {from, to, ...}. A live world feeds the same.

class Reducer {
  /** quorum: the metadata logs of controllers and brokers are shown, too. */
  constructor(end, quorum = false) {
    this.end = end;
    this.quorum = quorum;
    this.hosts = new Map(); // name -> {up: stretches}
    this.nodes = new Map(); // node id -> host
    this.partitions = new Map(); // "orders/0" -> partition
    this.faults = [];
    this.operations = []; // {client, f, from, to, outcome, ...}
    this.open = new Map(); // process -> operation under way
    this.groups = new Map();
    this.transactions = new Map(); // by transactional id
    this.producers = new Map(); // transactional id by producer id
    this.controllers = []; // stretches of active controllers
    this.messages = [];
    this.pending = new Map(); // message by connection, number and direction
    this.acks = []; // {t, took}
    this.positions = []; // {t, client, partition, at}: where a client has read to
    this.leaderChanges = [];
    this.phases = [];
  }

  /** A stretch that begins now and goes on; the one before in the list ends. */
  begin(list, t, state) {
    this.close(list, t);
    list.push({ from: t, to: this.end, ...state });
  }

  close(list, t) {
    const last = list[list.length - 1];
    if (last && last.to === this.end && last.from <= t) last.to = t;
  }

  host(name) {
    if (!this.hosts.has(name)) this.hosts.set(name, { name, up: [] });
    return this.hosts.get(name);
  }

  partition(name) {
    if (!this.partitions.has(name)) {
      this.partitions.set(name, { name, decisions: [], replicas: new Map(), committed: -1 });
    }
    return this.partitions.get(name);
  }

  replica(e) {
    const p = this.partition(e.partition);
    this.nodes.set(e.node, e.host);
    if (!p.replicas.has(e.host)) {
      p.replicas.set(e.host, { host: e.host, node: e.node, roles: [], ends: [], hws: [], cuts: [], known: [], unstable: [] });
    }
    return p.replicas.get(e.host);
  }

  group(name) {
    if (!this.groups.has(name)) this.groups.set(name, { name, states: [], owners: new Map(), committed: new Map(), staged: new Map(), generations: [] });
    return this.groups.get(name);
  }

  add(e) {
    const f = this[`on_${e.kind.replaceAll("-", "_")}`];
    if (f) f.call(this, e);
  }

  // Hosts.

  on_process_started(e) { this.begin(this.host(e.host).up, e.t, { state: "up" }); }
  on_process_killed(e) { this.down(e, "killed"); }
  on_power_lost(e) { this.down(e, "without power"); }
  on_process_exited(e) { this.down(e, "exited"); }
  on_process_paused(e) { this.begin(this.host(e.host).up, e.t, { state: "paused" }); }
  on_process_resumed(e) { this.begin(this.host(e.host).up, e.t, { state: "up" }); }

  down(e, state) {
    const h = this.host(e.host);
    const last = h.up[h.up.length - 1];
    if (!last || last.state === "up" || last.state === "paused") this.begin(h.up, e.t, { state });
    for (const p of this.partitions.values()) {
      const r = p.replicas.get(e.host);
      if (!r) continue;
      this.close(r.roles, e.t);
      this.close(r.known, e.t);
      this.close(r.unstable, e.t);
      r.before = r.ends.length ? r.ends[r.ends.length - 1].at : 0;
    }
    for (const g of this.groups.values()) {
      for (const owners of g.owners.values()) {
        for (const o of owners) if (o.member === e.host && o.to === this.end) o.to = e.t;
      }
    }
    for (const [process, op] of this.open) {
      if (op.client === e.host) {
        op.to = e.t;
        op.outcome = "died";
        this.open.delete(process);
      }
    }
  }

  // Logs of replicas.

  on_replica_opened(e) {
    const r = this.replica(e);
    if (r.before > e.end) r.cuts.push({ t: e.t, from: r.before, to: e.end, lost: true });
    r.before = e.end;
    this.begin(r.known, e.t, {});
    this.point(r.ends, e.t, e.end);
    this.point(r.hws, e.t, e.hw);
  }
  on_appended(e) {
    const r = this.replica(e);
    this.point(r.ends, e.t, e.end);
    const last = r.roles[r.roles.length - 1];
    (r.batches = r.batches || []).push({ t: e.t, from: e.from, end: e.end, epoch: e.epoch, leads: !!last && last.role === "leader" });
  }
  on_truncated(e) {
    const r = this.replica(e);
    r.cuts.push({ t: e.t, from: e.from, to: e.to, hw: e.hw, epoch: e.epoch });
    this.point(r.ends, e.t, e.to);
  }
  on_log_restarted(e) {
    const r = this.replica(e);
    const at = e.at_offset ?? e.start ?? 0;
    r.cuts.push({ t: e.t, from: r.ends.length ? r.ends[r.ends.length - 1].at : at, to: at });
    this.point(r.ends, e.t, at);
  }
  on_high_watermark_moved(e) {
    const r = this.replica(e);
    this.point(r.hws, e.t, e.to);
    const last = r.roles[r.roles.length - 1];
    const p = this.partition(e.partition);
    if (last && last.role === "leader" && e.to > p.committed) p.committed = e.to;
  }

  point(list, t, at) { list.push({ t, at }); }

  // Roles.

  on_became_leader(e) {
    const r = this.replica(e);
    this.begin(r.roles, e.t, { role: "leader", epoch: e.epoch });
    this.point(r.ends, e.t, e.end);
    this.point(r.hws, e.t, e.hw);
    this.leaderChanges.push({ t: e.t, partition: e.partition });
  }
  on_became_follower(e) {
    const r = this.replica(e);
    this.begin(r.roles, e.t, { role: "follower", epoch: e.epoch, leader: e.leader });
    this.point(r.ends, e.t, e.end);
    this.point(r.hws, e.t, e.hw);
  }
  on_replica_stopped(e) { this.close(this.replica(e).roles, e.t); }
  on_partition_committed(e) {
    const p = this.partition(e.partition);
    const last = p.decisions[p.decisions.length - 1];
    if (last && last.at >= e.at_offset) return; // every controller tells of it: the first counts
    this.begin(p.decisions, e.t, {
      at: e.at_offset, leader: e.leader, epoch: e.leader_epoch, isr: e.isr || [], elr: e.elr || [],
      lastKnown: e.last_known_elr || [], replicas: e.replicas || [],
    });
  }
  on_controller_active(e) {
    this.nodes.set(e.node, e.host);
    this.begin(this.controllers, e.t, { host: e.host, epoch: e.epoch });
  }

  // The metadata quorum, as a partition of which its members have replicas.

  on_quorum_opened(e) { if (this.quorum) this.on_replica_opened(e); }
  on_quorum_appended(e) { if (this.quorum) this.on_appended(e); }
  on_quorum_committed(e) { if (this.quorum) this.on_high_watermark_moved({ ...e, to: e.hw }); }
  on_quorum_truncating(e) { if (this.quorum) this.on_truncated(e); }
  on_quorum_elected(e) {
    if (!this.quorum) return;
    const r = this.replica(e);
    this.begin(r.roles, e.t, { role: "leader", epoch: e.epoch });
    this.point(r.ends, e.t, e.end);
  }
  on_quorum_follows(e) { if (this.quorum) this.begin(this.replica(e).roles, e.t, { role: "follower", epoch: e.epoch, leader: e.leader }); }
  on_quorum_voted(e) {
    if (!this.quorum) return;
    const r = this.replica(e);
    (r.votes = r.votes || []).push({ t: e.t, epoch: e.epoch, candidate: e.candidate });
  }

  // Faults and phases.

  on_fault_struck(e) {
    this.faults[e.number] = { number: e.number, from: e.t, to: e.momentary ? e.t : this.end, text: e.fault, group: e.group, plan: e.plan };
  }
  on_fault_healed(e) { if (this.faults[e.number]) this.faults[e.number].to = e.t; }
  on_work_began(e) { this.phases.push({ t: e.t, text: "work begins" }); }
  on_healing_began(e) { this.phases.push({ t: e.t, text: "all is healed" }); }

  // Clients.

  on_operation_invoked(e) {
    const op = { index: e.op, event: e.index, client: e.client, process: e.process, f: e.f, from: e.t, to: this.end, outcome: "open", sends: e.sends || [], polled: [], marks: [] };
    this.open.set(e.process, op);
    this.operations.push(op);
  }
  on_operation_completed(e) {
    const op = this.open.get(e.process);
    if (!op) return;
    this.open.delete(e.process);
    Object.assign(op, { to: e.t, outcome: e.outcome, done: e.op, error: e.error, polled: e.polled || [], marks: e.marks || [] });
    if (e.sends) op.sends = e.sends;
    for (const p of op.polled) this.positions.push({ t: e.t, client: op.client, partition: p.partition, at: p.last + 1 });
    if (op.f === "send" && e.outcome === "ok") this.acks.push({ t: e.t, took: e.t - op.from });
  }

  // Groups: which member owns what, as the members believe.

  on_partitions_assigned(e) {
    const g = this.group(e.group);
    for (const tp of e.added || []) {
      const name = partitionName(tp);
      if (!g.owners.has(name)) g.owners.set(name, []);
      g.owners.get(name).push({ from: e.t, to: this.end, member: e.host, generation: e.generation });
    }
    const last = g.generations[g.generations.length - 1];
    if (!last || last.generation < e.generation) this.begin(g.generations, e.t, { generation: e.generation });
  }
  on_partitions_revoked(e) { this.disown(e, e.partitions); }
  on_partitions_lost(e) { this.disown(e, e.partitions); }
  disown(e, partitions) {
    const g = this.group(e.group);
    for (const tp of partitions || []) {
      for (const o of g.owners.get(partitionName(tp)) || []) {
        if (o.member === e.host && o.to === this.end) o.to = e.t;
      }
    }
  }
  on_offset_committed(e) {
    const g = this.group(e.group), name = partitionName(e.partition);
    if (!g.committed.has(name)) g.committed.set(name, []);
    this.point(g.committed.get(name), e.t, e.committed);
  }
  on_group_state(e) { this.begin(this.group(e.group).states, e.t, { state: e.state, generation: e.generation }); }

  // Transactions. A span is the time during which one has a partition, up to its marker there.

  transaction(id) {
    if (!this.transactions.has(id)) this.transactions.set(id, { id, states: [], spans: new Map(), marks: [] });
    return this.transactions.get(id);
  }
  on_txn_state(e) {
    const x = this.transaction(e.txn_id), ends = e.state.startsWith("Prepare");
    this.producers.set(e.producer, e.txn_id);
    this.begin(x.states, e.t, { state: e.state, epoch: e.producer_epoch, producer: e.producer, partitions: e.partitions || [], host: e.host, version: e.txn_version });
    if (e.state === "Ongoing" && e.state_before !== "Ongoing") for (const spans of x.spans.values()) this.abandon(spans, e.t);
    if (e.state === "Ongoing" || ends) {
      for (const name of e.partitions || []) {
        const span = this.span(x, name, e);
        if (ends) span.decided = e.state === "PrepareCommit" ? "commit" : "abort";
      }
    }
  }
  /** The open span of a partition, which begins now if there is none. */
  span(x, name, e) {
    if (!x.spans.has(name)) x.spans.set(name, []);
    const spans = x.spans.get(name), last = spans[spans.length - 1];
    if (last && last.to === this.end && !last.end) return last;
    const span = { from: e.t, to: this.end, epoch: e.producer_epoch, end: "", decided: "" };
    spans.push(span);
    return span;
  }
  /** A span that no marker ended before the next transaction began. */
  abandon(spans, t) {
    const last = spans[spans.length - 1];
    if (last && last.to === this.end && !last.end) Object.assign(last, { to: t, end: "none" });
  }
  on_marker_written(e) {
    const id = this.producers.get(e.producer);
    if (id === undefined) return;
    const span = this.span(this.transaction(id), e.partition, e);
    Object.assign(span, { to: e.t, end: e.commit ? "commit" : "abort", at: e.at_offset, by: e.host, markerEpoch: e.producer_epoch });
  }
  on_marker_refused(e) { this.transaction(e.txn_id).marks.push({ t: e.t, text: "✗ marker refused", partition: e.partition, title: e.error }); }
  on_txn_fenced(e) { this.transaction(e.txn_id).marks.push({ t: e.t, text: `⊘ epoch ${e.producer_epoch} fenced`, title: e.say }); }
  on_txn_timed_out(e) { this.transaction(e.txn_id).marks.push({ t: e.t, text: "⌛ timed out", title: e.say }); }
  on_last_stable_offset_moved(e) {
    const r = this.replica(e);
    if (e.to < e.hw) this.begin(r.unstable, e.t, { at: e.to });
    else this.close(r.unstable, e.t);
  }
  on_offset_pending(e) {
    const g = this.group(e.group);
    if (!g.staged.has(e.partition)) g.staged.set(e.partition, []);
    g.staged.get(e.partition).push({ from: e.t, to: this.end, offset: e.pending, producer: e.producer, end: "" });
  }
  on_offset_decided(e) {
    const g = this.group(e.group), list = g.staged.get(e.partition) || [];
    for (const x of list) if (x.producer === e.producer && !x.end) Object.assign(x, { to: e.t, end: e.commit ? (e.kept ? "kept" : "commit") : "abort" });
    if (!e.commit || e.kept) return;
    if (!g.committed.has(e.partition)) g.committed.set(e.partition, []);
    this.point(g.committed.get(e.partition), e.t, e.pending);
  }

  // Messages near a step.

  on_request_sent(e) { this.sent(e, "request", e.host, e.server_addr); }
  on_request_arrived(e) { this.arrived(e, "request", e.host); }
  on_answer_sent(e) { this.sent(e, "answer", e.host, e.client_addr); }
  on_answer_arrived(e) { this.arrived(e, "answer", e.host); }
  sent(e, direction, host, to) {
    const m = { from: e.t, to: 0, sender: host, receiver: to.slice(0, to.lastIndexOf(":")), api: e.api, direction, correlation: e.correlation_id, error: e.error_code, bytes: e.bytes };
    this.pending.set(`${e.client_addr} ${e.server_addr} ${e.correlation_id} ${direction}`, m);
    this.messages.push(m);
  }
  arrived(e, direction) {
    const m = this.pending.get(`${e.client_addr} ${e.server_addr} ${e.correlation_id} ${direction}`);
    if (m) m.to = e.t;
  }
}

/** A partition as events have it: text, or topic and number. */
function partitionName(tp) { return typeof tp === "string" ? tp : `${tp.Topic ?? tp.topic}/${tp.Partition ?? tp.partition}`; }

/** What of a list is in force at t; at the end of the run all that has not ended before. */
function inForce(list, t, end) { return list.filter((x) => x && x.from <= t && (x.to > t || x.to === end)); }

/** The stretch of a list that holds t; undefined: none does. */
function stretchAt(list, t) {
  for (let i = list.length - 1; i >= 0; i--) {
    if (list[i].from <= t) return list[i].to > t || list[i].to === list[i].from || i === list.length - 1 && list[i].to >= t ? list[i] : undefined;
  }
  return undefined;
}

/** The last value of a list of points at t; undefined: none is known. */
function valueAt(list, t) {
  let low = 0, high = list.length;
  while (low < high) {
    const mid = (low + high) >> 1;
    if (list[mid].t <= t) low = mid + 1; else high = mid;
  }
  return low === 0 ? undefined : list[low - 1].at;
}
