package laws

// The laws that are asked here.
var (
	LeaderInISR = declare(1, OfPartition, "the leader is in the ISR, or there is none",
		"each committed change of the partition", "LeaderInIsr of Gustafson's KafkaReplication.tla; PartitionRegistration")
	CandidateComplete = declare(7, OfPartition, "every member of ISR and ELR has every record below the true high watermark",
		"each committed change of the partition, of members that are up", "LeaderCandidateCompleteness of kafka-tlaplus; KIP-966")
	JoinCaughtUp = declare(12, OfPartition, "a replica joins the ISR only with all that is committed, up to the start of the leader's epoch, and after a fetch in it",
		"a leader counts one more replica; each replica that joins the committed ISR", "Kip320.tla, rule 4; KAFKA-7128; Partition.isFollowerInSync")
	OneLeader = declare(14, OfPartition, "an epoch has one leader, and epochs grow with every change of leader",
		"each committed change of the partition, each change of a replica's role, each append of a leader", "KIP-101; PartitionRegistration")
	PartitionEpochs = declare(16, OfPartition, "each change of a partition counts its epoch up by one",
		"each committed change of the partition", "KIP-497; PartitionChangeRecord")
	SaneISR = declare(17, OfPartition, "ISR and ELR are replicas and disjoint, not both empty while there is a leader, and an ELR exists only below min.insync.replicas",
		"each committed change of the partition", "MinIsrRecoveryQuorum of kafka-tlaplus; KIP-966")
	UncleanExcluded = declare(18, OfPartition, "a replica that came back from an unclean shutdown, or lost data, is no member of ISR or ELR until it joined the ISR anew",
		"each committed change of the partition, and each time a broker is unfenced", "kafka-tlaplus 6.5.1; KIP-966")
	ReassignKeeps = declare(26, OfPartition, "only replicas that the leader asked for join the ISR, in a reassignment, too",
		"each replica that joins the committed ISR", "kafka-tlaplus 6.7; KIP-455")
	ActiveMembers = declare(76, OfPartition, "a broker that is fenced or in controlled shutdown is asked into no ISR, joins none and is elected nowhere, and a fenced one stays in none",
		"each proposal of a leader, each committed change of the partition, and each time a broker is fenced", "KIP-841, KIP-966; ReplicationControlManager.ineligibleReplicasForIsr")
)

// PartitionState is what the controller committed of a partition.
type PartitionState struct {
	At             int64 // offset of the record in the metadata log
	Leader         Node
	LeaderEpoch    Epoch
	PartitionEpoch int32
	Replicas       []Node
	ISR, ELR       []Node
	Unclean        bool // it elected a leader from outside ISR and ELR
}

// ControllerState: the controller committed a change of the partition. Its
// slices are the caller's again when it returns.
func (r *Replication) ControllerState(s PartitionState) {
	r.events++
	r.saneState(s)
	r.activeState(s)
	if r.known {
		r.change(s)
	}
	if s.Unclean {
		r.forgive(s.Leader)
	}
	unasked := r.members(s)
	if s.LeaderEpoch != r.leaderEpoch && r.cfg.Calm != nil {
		r.leaderSince = r.cfg.Calm.Now
	}
	r.leader, r.leaderEpoch, r.partitionEpoch = s.Leader, s.LeaderEpoch, s.PartitionEpoch
	set(&r.isr, s.ISR)
	set(&r.elr, s.ELR)
	r.known = true
	for _, p := range r.replicas {
		if p.leads {
			r.agree(p, s.ISR, &StrongISR)
		}
	}
	if s.Leader != NoNode && !unasked {
		r.superset(r.of(s.Leader))
	}
}

func (r *Replication) saneState(s PartitionState) {
	if s.Leader != NoNode && !holds(s.ISR, s.Leader) {
		r.fail(LeaderInISR, s.Leader, "leader %v is not in ISR %v", s.Leader, s.ISR)
	}
	if len(s.ISR) == 0 && len(s.ELR) == 0 && s.Leader != NoNode {
		r.fail(SaneISR, s.Leader, "ISR and ELR are empty")
	}
	for _, n := range s.ISR {
		if !holds(s.Replicas, n) {
			r.fail(SaneISR, n, "%v of ISR %v is no replica of %v", n, s.ISR, s.Replicas)
		}
	}
	for _, n := range s.ELR {
		if !holds(s.Replicas, n) || holds(s.ISR, n) {
			r.fail(SaneISR, n, "%v of ELR %v is in ISR %v or no replica of %v", n, s.ELR, s.ISR, s.Replicas)
		}
	}
	if len(s.ELR) > 0 && len(s.ISR) >= r.cfg.MinISR {
		r.fail(SaneISR, s.Leader, "ELR is %v though ISR %v has min.insync.replicas=%d", s.ELR, s.ISR, r.cfg.MinISR)
	}
}

// activeState: law 76, of those that join or are elected.
func (r *Replication) activeState(s PartitionState) {
	for _, n := range s.ISR {
		if !holds(r.isr, n) && !r.cfg.Brokers.isActive(n, s.At, s.At) {
			r.fail(ActiveMembers, n, "%v joins ISR %v; its broker is fenced or shuts down", n, s.ISR)
		}
	}
	if s.Leader != NoNode && s.Leader != r.leader && !r.cfg.Brokers.isActive(s.Leader, s.At, s.At) {
		r.fail(ActiveMembers, s.Leader, "%v is elected; its broker is fenced or shuts down", s.Leader)
	}
}

// Fenced: the node's broker is fenced now. In the generation before KIP-966 the
// last member of an ISR stays in it, and leads no more.
func (r *Replication) Fenced(node Node) {
	r.events++
	if r.leader == node || holds(r.isr, node) && len(r.isr) > 1 {
		r.fail(ActiveMembers, node, "%v is in ISR %v, which %v leads; its broker is fenced", node, r.isr, r.leader)
	}
}

// Unfenced: the node's broker is unfenced, in the broker epoch that it has had since
// the record at that offset. clean: the process before had shut down in order.
// Law 18, of all that the controllers had time to do since. In the generation
// before KIP-966 the last member of an ISR stays in it.
func (r *Replication) Unfenced(node Node, epoch int64, clean bool) {
	r.events++
	p := r.of(node)
	inELR := holds(r.elr, node)
	if !inELR && !holds(r.isr, node) || p.member > epoch {
		return
	}
	p.lossy = p.lossy && p.log.end() < r.trueHW()
	switch {
	case p.lossy:
		r.fail(UncleanExcluded, node, "%v is in ISR %v or ELR %v; it came back with %d of %d committed records", node, r.isr, r.elr, p.log.end(), r.trueHW())
	case !clean && (inELR || len(r.isr) > 1):
		r.fail(UncleanExcluded, node, "%v is in ISR %v or ELR %v, as it was before it came back from an unclean shutdown", node, r.isr, r.elr)
	}
}

func (r *Replication) change(s PartitionState) {
	if s.PartitionEpoch != r.partitionEpoch+1 {
		r.fail(PartitionEpochs, s.Leader, "partition epoch went from %d to %d", r.partitionEpoch, s.PartitionEpoch)
	}
	if s.LeaderEpoch < r.leaderEpoch || s.Leader != r.leader && s.LeaderEpoch == r.leaderEpoch {
		r.fail(OneLeader, s.Leader, "leader went from %v in epoch %d to %v in epoch %d", r.leader, r.leaderEpoch, s.Leader, s.LeaderEpoch)
	}
}

// members: laws 7, 12, 18 and 26, for those that are members now. It reports whether
// one joined that the leader had not asked for, which breaks law 8 as well.
func (r *Replication) members(s PartitionState) (unasked bool) {
	// A leader that only stays may lose its data before its registration tells.
	elected := !r.known || s.LeaderEpoch != r.leaderEpoch
	for _, n := range s.ISR {
		p := r.of(n)
		added := r.known && !holds(r.isr, n) && !(s.Unclean && n == s.Leader)
		// A leader that was elected out of the ELR has not caught up with another, so
		// that it is in the ISR proves nothing of what it has.
		joined := added && !(holds(r.elr, n) && s.Leader == n)
		if added {
			p.had = 0
		}
		if joined {
			unasked = r.join(p, s) || unasked
		}
		if joined || !r.known || s.Unclean && n == s.Leader {
			p.member = s.At
		}
		p.lossy = p.lossy && p.log.end() < r.trueHW()
		switch {
		case p.lossy && (added || n == s.Leader && elected):
			r.fail(UncleanExcluded, n, "%v is in ISR %v; it came back with %d of %d committed records", n, s.ISR, p.log.end(), r.trueHW())
		case p.up && !p.lossy && !added:
			r.complete(p, &CandidateComplete)
		}
	}
	for _, n := range s.ELR {
		if p := r.of(n); p.up && !p.lossy {
			r.complete(p, &CandidateComplete)
		}
	}
	return unasked
}

// join: laws 12 and 26, of a replica that its leader has taken into the ISR.
func (r *Replication) join(p *replica, s PartitionState) (unasked bool) {
	leader := r.of(s.Leader)
	if !leader.leads || leader.epoch != s.LeaderEpoch {
		return false // the leader asked for it and is gone by now
	}
	end := p.log.end()
	if _, ok := leader.fetchedEnd(p.node); !ok {
		r.fail(JoinCaughtUp, p.node, "%v joined the ISR without a fetch in epoch %d", p.node, leader.epoch)
	}
	if end < leader.hw || end < leader.epochStart {
		r.fail(JoinCaughtUp, p.node, "%v joined the ISR with log end %d; the leader's high watermark is %d, its epoch starts at %d", p.node, end, leader.hw, leader.epochStart)
	}
	if unasked = !holds(leader.maximal, p.node); unasked {
		r.fail(ReassignKeeps, p.node, "%v joined the ISR; leader %v counts %v", p.node, leader.node, leader.maximal)
	}
	return unasked
}

// forgive: an unclean election makes what its leader has the truth.
func (r *Replication) forgive(leader Node) {
	p := r.of(leader)
	end := p.log.end()
	for o := r.truth.base; o < min(end, r.truth.end()); o++ {
		if differ(p.log.at(o), r.truth.at(o)) {
			end = o
			break
		}
	}
	r.truth.truncate(end)
	r.commits.cut(end)
	r.acked = min(r.acked, end)
	for _, p := range r.replicas {
		p.same = min(p.same, end)
		p.lossy = false
	}
}

// LostTooMuch: as many replicas lost unsynced data at once as the partition
// needs to keep its promises; from now on what is left is the truth.
func (r *Replication) LostTooMuch() {
	r.events++
	var best *replica
	for _, p := range r.replicas {
		if best == nil || p.log.end() > best.log.end() {
			best = p
		}
	}
	if best != nil {
		r.forgive(best.node)
	}
}
