// The verdict in words, and the state of the cluster at the cursor in the form of
// Kafka's own describe tools.

// Steps that decide something; the others move the record.
const decides = new Set(["isr", "died", "elected", "led", "followed", "struck", "group", "removed", "decided", "complete", "fenced", "voted"]);

/** The steps of the story: {n, t, host, text, lane, kind, offset, partition, op, decides}. */
function stepsOf(run) {
  if (run.stepped.length) {
    return run.stepped.map((s, i) => ({ ...s, n: i + 1, t: Math.round(s.at * 1e9), decides: decides.has(s.kind) }));
  }
  const story = run.story?.story || [];
  return story.map((m, i) => ({ n: i + 1, t: Math.round(m.at * 1e9), host: m.who === "fault" ? "" : m.who, text: m.what, kind: "", lane: m.who === "fault" ? "fault" : "" }));
}

/** A sentence begins with a capital letter, unless it begins with a name that has none. */
const sentence = (text) => (/^[a-z]+-\d|^[a-z]\S*[@/]/.test(text) ? text : text.slice(0, 1).toUpperCase() + text.slice(1)) + (/[.!?]$/.test(text) ? "" : ".");

/** How a step is shown: data is filled, a decision is a ring, the end is red. */
const stepClass = (s, all) => (s.n === all.length ? "last" : s.decides ? "decides" : "moves");

class Card {
  constructor(run, state, steps) { Object.assign(this, { run, state, steps }); }

  html() {
    const r = this.run.report, v = this.run.story;
    const parts = [];
    const why = v?.why;
    if (v) {
      parts.push(`<h2>${esc(sentence(why ? why.what : v.message))}</h2>`);
      if (why?.because) parts.push(`<h3>Why</h3><p class="because">${esc(why.because)}</p>`);
      if (v.check) parts.push(`<h3>Promise</h3><p>${esc(v.check)}${why ? `: <small>${esc(v.message)}</small>` : ""}</p>`);
      else if (why) parts.push(`<h3>Seen</h3><p>${esc(v.message)}</p>`);
    } else {
      parts.push(`<h2>${esc(this.calm())}</h2>`);
    }
    if (this.steps.length) {
      parts.push(`<h3>How, step by step</h3><ol class="steps">${this.steps.map((s) =>
        `<li><button data-step="${s.n}" class="${stepClass(s, this.steps)}"><b>${s.n}</b><time>${seconds(s.t, 1e5).replace(" s", "")}</time><span>${esc(s.host)} ${esc(s.text)}${s.op !== undefined ? ` <small>#${s.op}</small>` : ""}</span></button></li>`).join("")}</ol>`);
      if (why?.left) parts.push(`<p><small>${count(why.left)} more steps are left out between them.</small></p>`);
    }
    if (v?.proof?.length) parts.push(`<details${why ? "" : " open"}><summary>What the clients saw</summary><ul class="proof">${v.proof.map((p) => `<li>${esc(p)}</li>`).join("")}</ul></details>`);
    const allowed = r.allowed.filter((a) => a.count > 0);
    if (allowed.length) parts.push(`<h3>Allowed</h3><ul>${allowed.map((a) => `<li>${count(a.count)} × ${esc(a.anomaly)}: ${esc(a.reason)}${a.message ? ` <i>${esc(a.message)}</i>` : ""}</li>`).join("")}</ul>`);
    const more = r.violations.length - 1;
    if (more > 0) parts.push(`<details><summary>${count(more)} more, which may follow from it</summary><ul>${r.violations.slice(1, 40).map((x) => `<li>${esc(x.check)} at ${seconds(x.at * 1e9)}: ${esc(x.message)}</li>`).join("")}</ul></details>`);
    if (r.lesson) parts.push(`<h3>Lesson</h3><p>${esc(r.lesson)}</p>`);
    const planted = Object.entries(r.planted || {});
    if (planted.length) parts.push(`<h3>Planted</h3><p>${planted.map(([bug, p]) => `${esc(bug)}: reached ${count(p.reached)}, infected ${count(p.infected)}, detected ${count(p.detected)}`).join("<br>")}</p>`);
    parts.push(`<h3>Again</h3>${this.commands().map((c) => `<p class="command"><code>${esc(c)}</code><button data-copy="${esc(c)}">copy</button></p>`).join("")}`);
    return parts.join("");
  }

  calm() {
    const r = this.run.report;
    const words = { holds: "Every promise that was asked for held.", allowed: "Something was broken, and the configuration or a fault permits it.", inconclusive: `The danger was not met${r.probes_not_reached?.length ? ": " + r.probes_not_reached.join(", ") : ""}.` };
    return words[r.verdict] || r.verdict;
  }

  commands() {
    const r = this.run.report, again = r.again || `ktrial run ${r.scenario} --seed ${r.seed}`;
    if (!r.trace_hash) return [again]; // a history of any cluster
    return r.verdict === "violated" ? [again, "ktrial replay run.json", "ktrial shrink run.json", "ktrial check history.jsonl"] : [again, "ktrial replay run.json"];
  }

  /** The partition in focus at a time, as kafka-topics --describe has it. */
  stateAt(t, focus) {
    if (!this.run.report.trace_hash) return "<p>A history says nothing of brokers.</p>";
    const p = this.state.partitions.get(focus) || { decisions: [], replicas: new Map() };
    const d = stretchAt(p.decisions, t);
    const topic = focus.slice(0, focus.lastIndexOf("/")), number = focus.slice(focus.lastIndexOf("/") + 1);
    const line = d
      ? `Topic: ${topic}\tPartition: ${number}\tLeader: ${d.leader < 0 ? "none" : d.leader}\tReplicas: ${d.replicas.join(",")}\tIsr: ${d.isr.join(",")}\tElr: ${d.elr.join(",")}\tLastKnownElr: ${d.lastKnown.join(",")}`
      : this.state.quorum && topic === "__cluster_metadata" ? this.quorumAt(p, t) : `Topic: ${topic}\tPartition: ${number}\tnot yet created`;
    const rows = [...p.replicas.values()].filter((r) => valueAt(r.ends, t) !== undefined).sort((a, b) => a.node - b.node).map((r) => this.replicaAt(r, t));
    const controller = stretchAt(this.state.controllers, t);
    const faults = inForce(this.state.faults, t, this.state.end).map((f) => f.text);
    return `<pre>${esc(line)}</pre><table><thead><tr><th>replica<th>role<th>epoch<th>ISR<th>HW<th>LSO<th>log end</thead><tbody>${rows.join("")}</tbody></table>` +
      `<p>active controller: ${controller ? `${esc(controller.host)}, epoch ${controller.epoch}` : "none"}</p>` +
      this.transactionsAt(t) + this.groupsAt(t) +
      `<p>faults now: ${faults.length ? faults.map(esc).join("; ") : "none"}</p>`;
  }

  /** The metadata quorum, as kafka-metadata-quorum describe --status has it. */
  quorumAt(p, t) {
    const leader = [...p.replicas.values()].map((r) => ({ r, role: stretchAt(r.roles, t) })).filter((x) => x.role?.role === "leader").sort((a, b) => b.role.epoch - a.role.epoch)[0];
    return `LeaderId:\t${leader ? leader.r.node : -1}\nLeaderEpoch:\t${leader ? leader.role.epoch : "?"}\nHighWatermark:\t${leader ? valueAt(leader.r.hws, t) ?? -1 : -1}`;
  }

  replicaAt(r, t) {
    const p = [...this.state.partitions.values()].find((x) => x.replicas.get(r.host) === r);
    const role = stretchAt(r.roles, t), d = stretchAt(p.decisions, t), up = stretchAt(this.state.host(r.host).up, t);
    const lately = t - 2e6;
    const cell = (list) => {
      const now = valueAt(list, t), was = valueAt(list, lately);
      return now === undefined ? "<td>?" : now === was || was === undefined ? `<td>${now}` : `<td class="changed">${now} ${now < was ? "✂ " : ""}was ${was}`;
    };
    return `<tr><td>${esc(r.host)}<td>${up && up.state !== "up" ? up.state : role ? (role.role === "leader" ? "★ leader" : `follows ${role.leader}`) : "–"}<td>${role ? role.epoch : "–"}<td>${d ? (d.isr.includes(r.node) ? "yes" : d.elr.includes(r.node) ? "ELR" : "no") : "–"}${cell(r.hws)}<td>${this.lsoAt(r, t)}${cell(r.ends)}</tr>`;
  }

  /** The last stable offset where a transaction is open below the high watermark. */
  lsoAt(r, t) {
    const at = stableAt(r, t, this.state.end);
    return at === undefined ? "?" : at < valueAt(r.hws, t) ? `<span class="changed">${at}</span>` : at;
  }

  /** Transactional ids that are not idle, in the columns of kafka-transactions describe. */
  transactionsAt(t) {
    const rows = [...this.state.transactions.values()].map((x) => ({ id: x.id, now: stretchAt(x.states, t) })).filter((x) => x.now && !["Empty", "CompleteCommit", "CompleteAbort", "Dead"].includes(x.now.state));
    if (!rows.length) return "";
    return `<table><thead><tr><th>TransactionalId<th>ProducerId<th>Epoch<th>TransactionState<th>TopicPartitions</thead><tbody>${rows.sort((a, b) => byName(a.id, b.id)).map(({ id, now }) =>
      `<tr><td>${esc(id)}<td>${now.producer}<td>${now.epoch}<td class="${now.from > t - 2e6 ? "changed" : ""}">${esc(now.state)}<td>${esc(now.partitions.join(","))}</tr>`).join("")}</tbody></table>`;
  }

  groupsAt(t) {
    const begun = (list) => list.length > 0 && list[0].from <= t;
    return [...this.state.groups.values()].filter((g) => begun(g.states) || [...g.owners.values()].some(begun)).map((g) => {
      const state = stretchAt(g.states, t);
      const rows = [...g.owners.keys()].filter((name) => begun(g.owners.get(name))).sort(byPartition).map((name) => `${name}: ${inForce(g.owners.get(name), t, this.state.end).map((o) => o.member).join(" and ") || "no member"}`);
      return `<p>group ${esc(g.name)}${state ? `, ${esc(state.state)}, generation ${state.generation}` : ""}: ${rows.map(esc).join("; ")}</p>`;
    }).join("");
  }
}
