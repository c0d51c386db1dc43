package witness

import (
	"fmt"
	"strings"
	"time"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/ledger"
)

// Shard says which partition of an internal topic a coordinator's event is of. A shard
// makes one and puts it into all of its events.
type Shard struct {
	Node  kafka.NodeID         `json:"node"`
	Shard kafka.TopicPartition `json:"shard"`
	// Topic is the id of the internal topic.
	Topic kafka.UUID `json:"topic_id"`
}

// Subject is the partition of the internal topic.
func (s *Shard) Subject() string {
	if s == nil {
		return ""
	}
	return s.Shard.String()
}

// What a coordinator's runtime does with a shard.
type (
	// ShardLoading: the broker leads the shard's partition and begins to fold its log.
	ShardLoading struct {
		*Shard
		Epoch kafka.LeaderEpoch `json:"epoch"`
	}
	// ShardLoaded: the shard serves from now on.
	ShardLoaded struct {
		*Shard
		Epoch   kafka.LeaderEpoch `json:"epoch"`
		Records int               `json:"records"`
		End     kafka.Offset      `json:"end"`
		HW      kafka.Offset      `json:"hw"`
		// State is the fingerprint of what is folded up to the log end; 0: none is made.
		State uint64 `json:"state_hash,string"`
	}
	// ShardNotLoaded: the log could not be folded; the shard serves nothing in this epoch.
	ShardNotLoaded struct {
		*Shard
		Epoch kafka.LeaderEpoch `json:"epoch"`
		Error
	}
	// ShardUnloaded: the broker no longer serves the shard.
	ShardUnloaded struct {
		*Shard
		Epoch kafka.LeaderEpoch `json:"epoch"`
	}
	// ShardReverted: a batch could not be appended; what it had changed is taken back.
	ShardReverted struct {
		*Shard
		To kafka.Offset `json:"to"`
		Error
	}
	// ShardCommitted: the shard answers what was written below To.
	ShardCommitted struct {
		*Shard
		Epoch kafka.LeaderEpoch `json:"epoch"`
		To    kafka.Offset      `json:"to"`
		// State is the fingerprint of what is folded up to there; 0: none is made.
		State uint64 `json:"state_hash,string"`
	}
	// ShardDiverged: what the shard holds is not what its committed log says.
	ShardDiverged struct {
		*Shard
		At    kafka.Offset `json:"at"`
		Holds uint64       `json:"holds,string"` // fingerprint of what the shard holds
		Log   uint64       `json:"log,string"`   // fingerprint of the fold of the log
	}
	// RecordSetAside: a record of the internal topic cannot be read; the shard goes
	// without it.
	RecordSetAside struct {
		*Shard
		At kafka.Offset `json:"at"`
		Error
	}
)

// What a coordinator does with a group.
type (
	// GroupState: the group is in another state, by Kafka's names; From is empty for a
	// group that is new.
	GroupState struct {
		Group      string `json:"group"`
		From       string `json:"state_before"`
		To         string `json:"state"`
		Generation int32  `json:"generation"`
	}
	// TargetPostponed: a KIP-848 group has changed, and its coordinator computes no new
	// target assignment, because its clock is behind the time of the last one (KIP-1263).
	TargetPostponed struct {
		Group string `json:"group"`
		Epoch int32  `json:"generation"`
		// Behind is by how much the clock is.
		Behind time.Duration `json:"behind_ns"`
	}
	// GenerationCompleted: the members of a classic group have joined a generation.
	GenerationCompleted struct {
		Group      string   `json:"group"`
		Generation int32    `json:"generation"`
		Protocol   string   `json:"protocol"`
		Leader     string   `json:"group_leader"`
		Members    []string `json:"members"`
		// Absent are static members among them that have not joined within the rebalance timeout, and know
		// nothing of it (KIP-345).
		Absent []string `json:"absent,omitempty"`
	}
	// GroupAssigned: a member is given its partitions, in an answer.
	GroupAssigned struct {
		Group      string                 `json:"group"`
		Generation int32                  `json:"generation"`
		Member     string                 `json:"member"`
		Partitions []kafka.TopicPartition `json:"partitions"`
		// Classic: by the classic protocol, in a group of whichever kind.
		Classic bool `json:"classic,omitempty"`
	}
	// MemberJoined: a group has a new member.
	MemberJoined struct {
		Group      string `json:"group"`
		Generation int32  `json:"generation"`
		Member     string `json:"member"`
		Instance   string `json:"instance,omitempty"`
		Client     string `json:"client_id"`
	}
	// MemberLeft: a member is gone from its group, because it said so or because the
	// coordinator removed it.
	MemberLeft struct {
		Group      string `json:"group"`
		Generation int32  `json:"generation"`
		Member     string `json:"member"`
		Instance   string `json:"instance,omitempty"`
		Reason     string `json:"reason"`
		// Expelled: the member did not ask for it.
		Expelled bool `json:"expelled,omitempty"`
		// Unrevoked: it was removed, for it did not give up in time what it was to (KIP-848).
		Unrevoked bool `json:"unrevoked,omitempty"`
	}
	// MemberAway: a static member of a KIP-848 group has left for a while. It has given up all
	// that it was to give up, and keeps the rest for its next life.
	MemberAway struct {
		Group    string `json:"group"`
		Member   string `json:"member"`
		Instance string `json:"instance"`
		// Keeps are the partitions that its next life gets.
		Keeps []kafka.TopicPartition `json:"keeps"`
	}
	// MemberTimedOut: a time of a member is over, and its coordinator decides to remove it.
	// MemberLeft is told when that is in the log, which is later with
	// group.coordinator.append.linger.ms: the member may be heard of in between.
	MemberTimedOut struct {
		Group   string        `json:"group"`
		Member  string        `json:"member"`
		Timeout time.Duration `json:"timeout_ns"`
		// Rebalance: the time to take part in a rebalance, else that of the session.
		Rebalance bool `json:"rebalance,omitempty"`
	}
	// MemberHeard: the coordinator takes a heartbeat for that of a member. Its session begins
	// anew.
	MemberHeard struct {
		Group  string `json:"group"`
		Member string `json:"member"`
		// Owns is what the member says that it owns; nil: it does not say.
		Owns []kafka.TopicPartition `json:"owns"`
	}
	// GroupHolds: what the log holds of a KIP-848 group, up to the last record written, when the
	// group comes into another state. It is not told of large groups.
	GroupHolds struct {
		Group  string `json:"group"`
		State  string `json:"state"`
		Epoch  int32  `json:"generation"`
		Target int32  `json:"target_epoch"` // of the target assignment
		// Members in the order of their ids.
		Members []MemberHolds `json:"members"`
		// Taken are the partitions that the coordinator counts as some member's.
		Taken Partitions `json:"taken"`
	}
	// MemberHolds is what the log holds of a member of a KIP-848 group.
	MemberHolds struct {
		Member string     `json:"member"`
		Epoch  int32      `json:"epoch"`
		State  string     `json:"member_state"` // by Kafka's names
		Has    Partitions `json:"has"`
		Gives  Partitions `json:"gives"` // what it is to give up
		Target Partitions `json:"target"`
	}
	// MemberFenced: a member's request is refused because another replaced it or
	// its epoch is old.
	MemberFenced struct {
		Group    string `json:"group"`
		Member   string `json:"member"`
		Instance string `json:"instance,omitempty"`
		Error
	}
	// MemberReplaced: another process has become the static member, by its
	// group.instance.id, and that is in the log. The one before is refused from now on.
	MemberReplaced struct {
		Group    string `json:"group"`
		Instance string `json:"instance"`
		Member   string `json:"member"`    // that was replaced
		By       string `json:"successor"` // the member that it is now
	}
	// OffsetCommitted: a commit is answered with success.
	OffsetCommitted struct {
		Group       string               `json:"group"`
		Partition   kafka.TopicPartition `json:"partition"`
		Offset      kafka.Offset         `json:"committed"`
		LeaderEpoch kafka.LeaderEpoch    `json:"leader_epoch"`
		Generation  int32                `json:"generation"` // that the client named; -1: none
		Member      string               `json:"member"`
		At          kafka.Offset         `json:"at"` // of the record in the internal topic
	}
	// OffsetsExpired: committed offsets are removed.
	OffsetsExpired struct {
		Group      string                 `json:"group"`
		Partitions []kafka.TopicPartition `json:"partitions"`
		Reason     string                 `json:"reason"`
	}
)

var (
	shardLoading        = ledger.Declare[ShardLoading]("shard-loading", "a broker begins to load a partition of a coordinators' topic", ledger.Detail)
	shardLoaded         = ledger.Declare[ShardLoaded]("shard-loaded", "a coordinator serves a partition of its topic from now on", ledger.Detail)
	shardNotLoaded      = ledger.Declare[ShardNotLoaded]("shard-not-loaded", "a partition of a coordinators' topic could not be loaded", ledger.Notable)
	shardUnloaded       = ledger.Declare[ShardUnloaded]("shard-unloaded", "a broker no longer serves a partition of a coordinators' topic", ledger.Detail)
	shardReverted       = ledger.Declare[ShardReverted]("shard-reverted", "a coordinator takes back what it could not append", ledger.Notable)
	shardCommitted      = ledger.Declare[ShardCommitted]("shard-committed", "a coordinator answers what is committed", ledger.Detail)
	shardDiverged       = ledger.Declare[ShardDiverged]("shard-diverged", "a coordinator holds something else than its committed log says", ledger.Notable)
	recordSetAside      = ledger.Declare[RecordSetAside]("record-set-aside", "a record of a coordinators' topic cannot be read", ledger.Notable)
	groupState          = ledger.Declare[GroupState]("group-state", "a group is in another state", ledger.Notable)
	targetPostponed     = ledger.Declare[TargetPostponed]("target-postponed", "a group waits for a new target assignment until the clock is past the last one", ledger.Notable)
	generationCompleted = ledger.Declare[GenerationCompleted]("generation-completed", "the members of a classic group have joined a generation", ledger.Notable)
	groupAssigned       = ledger.Declare[GroupAssigned]("group-assigned", "a member of a group is given its partitions", ledger.Detail)
	memberJoined        = ledger.Declare[MemberJoined]("member-joined", "a group has a new member", ledger.Notable)
	memberLeft          = ledger.Declare[MemberLeft]("member-left", "a member is gone from its group", ledger.Notable)
	memberAway          = ledger.Declare[MemberAway]("member-away", "a static member leaves for a while", ledger.Notable)
	memberTimedOut      = ledger.Declare[MemberTimedOut]("member-timed-out", "a time of a member is over, and its coordinator removes it", ledger.Notable)
	memberHeard         = ledger.Declare[MemberHeard]("member-heard", "a coordinator takes the heartbeat of a member", ledger.Detail)
	groupHolds          = ledger.Declare[GroupHolds]("group-holds", "what a KIP-848 group holds when its state changes", ledger.Detail)
	memberFenced        = ledger.Declare[MemberFenced]("member-fenced", "a member learns that it is not one any more", ledger.Notable)
	memberReplaced      = ledger.Declare[MemberReplaced]("member-replaced", "another process has become a static member", ledger.Notable)
	offsetCommitted     = ledger.Declare[OffsetCommitted]("offset-committed", "a commit of an offset is answered with success", ledger.Detail)
	offsetsExpired      = ledger.Declare[OffsetsExpired]("offsets-expired", "committed offsets are removed", ledger.Notable)
)

func (e *ShardLoading) Kind() *ledger.Kind        { return shardLoading }
func (e *ShardLoaded) Kind() *ledger.Kind         { return shardLoaded }
func (e *ShardNotLoaded) Kind() *ledger.Kind      { return shardNotLoaded }
func (e *ShardUnloaded) Kind() *ledger.Kind       { return shardUnloaded }
func (e *ShardReverted) Kind() *ledger.Kind       { return shardReverted }
func (e *ShardCommitted) Kind() *ledger.Kind      { return shardCommitted }
func (e *ShardDiverged) Kind() *ledger.Kind       { return shardDiverged }
func (e *RecordSetAside) Kind() *ledger.Kind      { return recordSetAside }
func (e *GroupState) Kind() *ledger.Kind          { return groupState }
func (e *TargetPostponed) Kind() *ledger.Kind     { return targetPostponed }
func (e *GenerationCompleted) Kind() *ledger.Kind { return generationCompleted }
func (e *GroupAssigned) Kind() *ledger.Kind       { return groupAssigned }
func (e *MemberJoined) Kind() *ledger.Kind        { return memberJoined }
func (e *MemberLeft) Kind() *ledger.Kind          { return memberLeft }
func (e *MemberAway) Kind() *ledger.Kind          { return memberAway }
func (e *MemberTimedOut) Kind() *ledger.Kind      { return memberTimedOut }
func (e *MemberHeard) Kind() *ledger.Kind         { return memberHeard }
func (e *GroupHolds) Kind() *ledger.Kind          { return groupHolds }
func (e *MemberFenced) Kind() *ledger.Kind        { return memberFenced }
func (e *MemberReplaced) Kind() *ledger.Kind      { return memberReplaced }
func (e *OffsetCommitted) Kind() *ledger.Kind     { return offsetCommitted }
func (e *OffsetsExpired) Kind() *ledger.Kind      { return offsetsExpired }

func (e *ShardLoading) Sentence() string {
	return fmt.Sprintf("loads %s, epoch %d", e.Subject(), e.Epoch)
}

func (e *ShardLoaded) Sentence() string {
	return fmt.Sprintf("coordinates %s, epoch %d, after %d records up to offset %d", e.Subject(), e.Epoch, e.Records, e.End)
}

func (e *ShardNotLoaded) Sentence() string {
	return fmt.Sprintf("cannot load %s, epoch %d: %s", e.Subject(), e.Epoch, e.Text)
}

func (e *ShardUnloaded) Sentence() string {
	return fmt.Sprintf("no longer coordinates %s, epoch %d", e.Subject(), e.Epoch)
}

func (e *ShardReverted) Sentence() string {
	return fmt.Sprintf("takes back what it decided on %s from offset %d: %s", e.Subject(), e.To, e.Text)
}

func (e *ShardCommitted) Sentence() string {
	return fmt.Sprintf("answers %s up to offset %d", e.Subject(), e.To)
}

func (e *ShardDiverged) Sentence() string {
	return fmt.Sprintf("holds another state of %s at offset %d than the log says", e.Subject(), e.At)
}

func (e *RecordSetAside) Sentence() string {
	return fmt.Sprintf("sets aside the record at offset %d of %s: %s", e.At, e.Subject(), e.Text)
}

// Subject is the group.
func (e *GroupState) Subject() string { return e.Group }

func (e *GroupState) Sentence() string {
	if e.From == "" {
		return fmt.Sprintf("group %s is %s, generation %d", e.Group, e.To, e.Generation)
	}
	return fmt.Sprintf("group %s goes from %s to %s, generation %d", e.Group, e.From, e.To, e.Generation)
}

// Subject is the group.
func (e *TargetPostponed) Subject() string { return e.Group }

func (e *TargetPostponed) Sentence() string {
	return fmt.Sprintf("group %s, generation %d: no new target assignment; the last one was made %v ahead of this clock", e.Group, e.Epoch, e.Behind)
}

// Subject is the group.
func (e *GenerationCompleted) Subject() string { return e.Group }

func (e *GenerationCompleted) Sentence() string {
	text := fmt.Sprintf("group %s completes generation %d of %d members (%s), leader %s, members %s", e.Group, e.Generation, len(e.Members), e.Protocol, e.Leader, strings.Join(e.Members, ", "))
	if len(e.Absent) > 0 {
		text += "; absent: " + strings.Join(e.Absent, ", ")
	}
	return text
}

// Subject is the group.
func (e *GroupAssigned) Subject() string { return e.Group }

func (e *GroupAssigned) Sentence() string {
	return fmt.Sprintf("group %s, generation %d: %s has %s", e.Group, e.Generation, e.Member, partitions(e.Partitions))
}

// partitions lists them in words.
func partitions(tps []kafka.TopicPartition) string {
	if len(tps) == 0 {
		return "no partitions"
	}
	names := make([]string, len(tps))
	for i, tp := range tps {
		names[i] = tp.String()
	}
	return strings.Join(names, ", ")
}

// Subject is the group.
func (e *MemberJoined) Subject() string { return e.Group }

func (e *MemberJoined) Sentence() string {
	return fmt.Sprintf("group %s, generation %d: %s joins", e.Group, e.Generation, named(e.Member, e.Instance))
}

// named is a member with its instance.
func named(member, instance string) string {
	if instance == "" {
		return member
	}
	return fmt.Sprintf("%s (instance %s)", member, instance)
}

// Subject is the group.
func (e *MemberLeft) Subject() string { return e.Group }

func (e *MemberLeft) Sentence() string {
	verb := "leaves"
	if e.Expelled {
		verb = "is removed"
	}
	return fmt.Sprintf("group %s, generation %d: %s %s: %s", e.Group, e.Generation, named(e.Member, e.Instance), verb, e.Reason)
}

// Subject is the group.
func (e *MemberAway) Subject() string { return e.Group }

func (e *MemberAway) Sentence() string {
	return fmt.Sprintf("group %s: %s leaves for a while and keeps %s", e.Group, named(e.Member, e.Instance), partitions(e.Keeps))
}

// Subject is the group.
func (e *MemberTimedOut) Subject() string { return e.Group }

func (e *MemberTimedOut) Sentence() string {
	what := "session"
	if e.Rebalance {
		what = "time to rebalance"
	}
	return fmt.Sprintf("group %s removes %s: its %s of %v is over", e.Group, e.Member, what, e.Timeout)
}

// Subject is the group.
func (e *MemberHeard) Subject() string { return e.Group }

func (e *MemberHeard) Sentence() string {
	if e.Owns == nil {
		return fmt.Sprintf("group %s hears of %s", e.Group, e.Member)
	}
	return fmt.Sprintf("group %s hears of %s, which owns %s", e.Group, e.Member, partitions(e.Owns))
}

// Subject is the group.
func (e *GroupHolds) Subject() string { return e.Group }

func (e *GroupHolds) Sentence() string {
	members := make([]string, len(e.Members))
	for i, m := range e.Members {
		members[i] = fmt.Sprintf("%s, epoch %d, %s: has %v, gives up %v, is to have %v", m.Member, m.Epoch, m.State, m.Has, m.Gives, m.Target)
	}
	return fmt.Sprintf("group %s is %s, epoch %d, target assignment of epoch %d; %s", e.Group, e.State, e.Epoch, e.Target, strings.Join(members, "; "))
}

// Subject is the group.
func (e *MemberFenced) Subject() string { return e.Group }

func (e *MemberFenced) Sentence() string {
	return fmt.Sprintf("group %s refuses %s: %s", e.Group, named(e.Member, e.Instance), e.Text)
}

// Subject is the group.
func (e *MemberReplaced) Subject() string { return e.Group }

func (e *MemberReplaced) Sentence() string {
	return fmt.Sprintf("group %s has %s in place of %s", e.Group, named(e.By, e.Instance), e.Member)
}

func (e *OffsetCommitted) Sentence() string {
	return fmt.Sprintf("group %s commits %v up to offset %d", e.Group, e.Partition, e.Offset)
}

// Subject is the partition that the offset is of.
func (e *OffsetCommitted) Subject() string { return e.Partition.String() }

// Subject is the group.
func (e *OffsetsExpired) Subject() string { return e.Group }

func (e *OffsetsExpired) Sentence() string {
	return fmt.Sprintf("group %s loses its offsets of %s: %s", e.Group, partitions(e.Partitions), e.Reason)
}
