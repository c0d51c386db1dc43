package laws

import "slices"

// Law is one demand on what happens inside.
type Law struct {
	Number int
	Group  Group
	// About says what must hold, in a sentence.
	About string
	// When says what the law is asked of, and when.
	When string
	// Source is where it comes from: a KIP, an issue, a paper, a class of Kafka.
	Source string
}

// Group says whose law it is.
type Group string

// The groups.
const (
	OfPartition Group = "a partition's replication"
	OfQuorum    Group = "the metadata quorum"
	OfHealth    Group = "a cluster that nothing disturbs"
	OfGroup     Group = "a consumer group"

	OfCoordinator Group = "a coordinator"
	OfTransaction Group = "a transaction"
)

// Groups are all of them.
func Groups() []Group {
	return []Group{OfPartition, OfQuorum, OfHealth, OfCoordinator, OfGroup, OfTransaction}
}

// All is the catalogue, by number. Each of them is asked: a number that is missing
// is of no law here. Numbers up to 75 are those of the design; of these, 39 (changes
// of the voters, which never change here), 57, 58, 60, 64, 68 to 70 and
// 74 (what histories show), 71 (what histories and the timers of coordinators show), 73 and 75 (the
// insides of clients) are of none.
func All() []Law { return slices.Clone(catalogue) }

var catalogue []Law

func declare(number int, group Group, about, when, source string) Law {
	l := Law{number, group, about, when, source}
	at, taken := slices.BinarySearchFunc(catalogue, number, func(l Law, n int) int { return l.Number - n })
	if taken {
		panic("laws: two laws have one number: " + about)
	}
	catalogue = slices.Insert(catalogue, at, l)
	return l
}

// The laws of a partition's replication.
var (
	LeaderInISR = declare(1, OfPartition, "the leader is in the ISR, or there is none",
		"each committed change of the partition", "LeaderInIsr of Gustafson's KafkaReplication.tla; PartitionRegistration")
	WeakISR = declare(2, OfPartition, "of what a leader shows as committed, all that it counts as in sync have the same records",
		"a leader's high watermark moves, or the set that it counts changes", "WeakIsr of KafkaReplication.tla; KIP-101")
	StrongISR = declare(3, OfPartition, "of what a leader shows as committed, all of the controller's ISR have the same records",
		"a leader's high watermark moves, or the controller's ISR changes", "StrongIsr of KafkaReplication.tla; KIP-497")
	LogMatching = declare(4, OfPartition, "replicas agree on every record below both their high watermarks",
		"each move of a replica's high watermark", "LogMatching of Vanlightly's kafka-tlaplus; KIP-101, KIP-279")
	SamePrefix = declare(5, OfPartition, "what a leader counts as replicated is the same record as its own",
		"each fetch of a follower that a leader counts", "Log Matching of Raft (Ongaro); KAFKA-13141")
	LeaderComplete = declare(6, OfPartition, "a leader has every record below the true high watermark",
		"a replica begins to lead; an election from outside of ISR and ELR", "LeaderCompleteness of kafka-tlaplus; KIP-966")
	CandidateComplete = declare(7, OfPartition, "every member of ISR and ELR has every record below the true high watermark",
		"each committed change of the partition, of members that are up", "LeaderCandidateCompleteness of kafka-tlaplus; KIP-966")
	QuorumSuperset = declare(8, OfPartition, "the ISR that a leader counts contains that of the controller",
		"the set that a leader counts changes, or the controller's ISR", "ReplicationQuorumSuperset of kafka-tlaplus; KIP-497")
	HWIsReplicated = declare(9, OfPartition, "the high watermark advances only to what every member of the counted ISR has, and not below min.insync.replicas",
		"each advance of a leader's high watermark", "Kip320.tla, rule 3; KIP-497, KIP-966, KAFKA-15583; Partition.maybeIncrementLeaderHW")
	HWNeverFalls = declare(10, OfPartition, "a leader's high watermark never falls within its epoch",
		"each move of a leader's high watermark", "KIP-207; Partition.maybeIncrementLeaderHW")
	EndAfterEpoch = declare(11, OfPartition, "a leader tells its end only when its high watermark reached the start of its epoch",
		"each ListOffsets that is answered with the end of the log", "KIP-207; Partition.fetchOffsetForTimestamp")
	JoinCaughtUp = declare(12, OfPartition, "a replica joins the ISR only with all that is committed, up to the start of the leader's epoch, and after a fetch in it",
		"a leader counts one more replica; each replica that joins the committed ISR", "Kip320.tla, rule 4; KAFKA-7128; Partition.isFollowerInSync")
	FetchInEpoch = declare(13, OfPartition, "a leader counts a fetch only if the follower named the leader's own epoch",
		"each fetch of a follower that a leader counts", "Kip320.tla, rules 1 and 2; KIP-320")
	OneLeader = declare(14, OfPartition, "an epoch has one leader, and epochs grow with every change of leader",
		"each committed change of the partition, each change of a replica's role, each append of a leader", "KIP-101; PartitionRegistration")
	EpochsGrow = declare(15, OfPartition, "the leader epochs of a log never fall, and its cache of them says what the log says",
		"each append; the cache after each start, cut, and beginning of leadership, and of every offset at the end", "KIP-101, KIP-279; LeaderEpochFileCache")
	PartitionEpochs = declare(16, OfPartition, "each change of a partition counts its epoch up by one",
		"each committed change of the partition", "KIP-497; PartitionChangeRecord")
	SaneISR = declare(17, OfPartition, "ISR and ELR are replicas and disjoint, not both empty while there is a leader, and an ELR exists only below min.insync.replicas",
		"each committed change of the partition", "MinIsrRecoveryQuorum of kafka-tlaplus; KIP-966")
	UncleanExcluded = declare(18, OfPartition, "a replica that came back from an unclean shutdown, or lost data, is no member of ISR or ELR until it joined the ISR anew",
		"each committed change of the partition, and each time a broker is unfenced", "kafka-tlaplus 6.5.1; KIP-966")
	KeptSomewhere = declare(19, OfPartition, "some replica holds every acknowledged record",
		"a replica loses, cuts off or drops records", "NoCommittedRecordLostGlobally of kafka-tlaplus")
	ConsistentRead = declare(20, OfPartition, "what a consumer was given is what is committed there",
		"each batch that a consumer is given", "ConsistentRead of kafka-tlaplus")
	AckedIsCommitted = declare(21, OfPartition, "with acks=all a batch is appended, and answered below the high watermark, only with min.insync.replicas replicas in sync",
		"each append for acks=all, and each answer to one with success", "KIP-966; Partition.appendRecordsToLeader, checkEnoughReplicasReachOffset")
	MarksInOrder = declare(22, OfPartition, "log start <= high watermark <= log end, and an append begins at the log's end",
		"each append, start, cut, move of a mark, and beginning of leadership", "UnifiedLog")
	NoTruncation = declare(23, OfPartition, "no replica truncates below the true high watermark",
		"each truncation", "KIP-101, KIP-279; KAFKA-1211")
	RecoveredPrefix = declare(24, OfPartition, "after a crash a log is a prefix of what it was, and holds all that was synced",
		"each start of a replica, and of a member of the quorum", "LogLoader; KAFKA-10533")
	ReassignKeeps = declare(26, OfPartition, "only replicas that the leader asked for join the ISR, in a reassignment, too",
		"each replica that joins the committed ISR", "kafka-tlaplus 6.7; KIP-455")
	Converged = declare(27, OfPartition, "in the end all in-sync replicas are the same",
		"the end of a run, when all is healed", "the liveness properties of kafka-tlaplus")
	ContiguousBatches = declare(61, OfPartition, "the sequences of a producer follow each other in a log without a gap or a repetition, from 0 in each producer epoch",
		"each append of a batch of an idempotent producer", "KIP-98; ProducerAppendInfo")
	ProducersKnown = declare(62, OfPartition, "what a replica knows of its producers is what its log says, and what the other replicas know",
		"the end of a run, when all is healed", "KIP-98; ProducerStateManager")
	StableRead = declare(67, OfPartition, "the last stable offset is where the first transaction begins that is open, or whose end is above the high watermark, and never falls; what a read_committed consumer is given lies below it",
		"each move of the last stable offset, and each batch that a read_committed consumer is given", "KIP-98; UnifiedLog.lastStableOffset")
	ActiveMembers = declare(76, OfPartition, "a broker that is fenced or in controlled shutdown is asked into no ISR, joins none and is elected nowhere, and a fenced one stays in none",
		"each proposal of a leader, each committed change of the partition, and each time a broker is fenced", "KIP-841, KIP-966; ReplicationControlManager.ineligibleReplicasForIsr")
	CleanerBounds = declare(82, OfPartition, "what the cleaner replaces lies below the high watermark and the first open transaction",
		"each time that segments of a log are replaced", "LogCleanerManager.cleanableOffsets")
	LateBeforeOut = declare(97, OfPartition, "a leader asks no replica out of the ISR that had all of its log a short time ago: within a quarter of replica.lag.time.max.ms, for clocks may run fast",
		"each proposal to shrink an ISR", "KIP-16; Partition.maybeShrinkIsr, isFollowerOutOfSync")
	KnownMarks = declare(80, OfPartition, "a replica opens its log and begins to lead with a high watermark that it had before, and after a clean shutdown with the last one",
		"each start of a replica, and each beginning of leadership", "ReplicaManager.checkpointHighWatermarks; KIP-207")
)

// The laws of the metadata quorum (KRaft).
var (
	BrokerPrefix = declare(25, OfQuorum, "what a node applies of the metadata is a prefix of what is committed",
		"each time a node has applied metadata", "MetadataLogMatching of kafka-tlaplus; KIP-595")
	ElectionSafety = declare(28, OfQuorum, "an epoch of the quorum has one leader",
		"each election, and each member that follows a leader", "ElectionSafety of Raft; KIP-595")
	QuorumMatching = declare(29, OfQuorum, "voters and observers agree on every record below both their high watermarks, and records of one epoch and offset are the same",
		"each append, and each move of a high watermark", "Log Matching of Raft; KIP-595")
	QuorumComplete = declare(30, OfQuorum, "a quorum leader has every committed record",
		"each election", "Leader Completeness of Raft")
	QuorumDurable = declare(31, OfQuorum, "a majority of the voters holds every committed record",
		"each start of a member, and each loss of a disk", "Raft 5.4; KIP-595")
	RoleFits = declare(32, OfQuorum, "only voters vote and lead",
		"each vote and election", "KIP-595; QuorumState")
	OneVote = declare(33, OfQuorum, "a voter votes once in an epoch, and its epoch never falls, restarts included",
		"each vote, change of role and start", "Raft 5.2; KIP-595; FileQuorumStateStore")
	VoteForComplete = declare(34, OfQuorum, "a vote goes only to a candidate whose log is no shorter than the voter's",
		"each vote", "Raft 5.4.1; KIP-595")
	CommitCurrent = declare(35, OfQuorum, "a leader commits only records of its epoch that a majority of the voters has synced",
		"each advance of the quorum leader's high watermark", "Raft 5.4.2; KIP-595; KAFKA-13884")
	LeaderAppendOnly = declare(36, OfQuorum, "a quorum leader never overwrites its own log",
		"each append, truncation and new beginning of a leader's log", "Leader Append-Only of Raft")
	SameImage = declare(37, OfQuorum, "all nodes that applied an offset have the same image",
		"each time a node has applied metadata, each snapshot, and each log replayed at the end", "State Machine Safety of Raft; KIP-630")
	CommittedStays = declare(38, OfQuorum, "what is committed is never truncated",
		"each truncation of the metadata log", "KIP-595; KafkaRaftClient.truncateToEndOffset")
	PreVoteHarmless = declare(40, OfQuorum, "a pre-vote is asked for in an epoch that exists, is no vote, and is refused by a voter that is in touch with a leader",
		"each vote and pre-vote", "KIP-996")
	SnapshotBelowHW = declare(41, OfQuorum, "a snapshot ends at or below the high watermark, and logs begin no later than at one",
		"each snapshot that is written or loaded, and each new beginning of a log", "KIP-630")
	ActiveCaughtUp = declare(42, OfQuorum, "a controller acts only as leader of the quorum, once the start of its epoch is committed, and answers only what is committed",
		"a controller begins to act; each answer to a request that it decided", "KAFKA-15345; QuorumController, DeferredEventQueue")
	BrokerEpochGrows = declare(43, OfQuorum, "broker epochs are unique and grow",
		"each committed registration", "KIP-380, KIP-631; ClusterControlManager.registerBroker")
	QuorumLives = declare(44, OfQuorum, "in the end a leader has a majority that follows it",
		"the end of a run, when all is healed", "the liveness properties of Vanlightly's KRaft specification")
	WholeSession = declare(98, OfQuorum, "the session of a broker expires only when its controller has not heard of it for broker.session.timeout.ms",
		"each session that expires", "KIP-631; BrokerHeartbeatTracker.hasValidSession")
	UnfencedCaughtUp = declare(77, OfQuorum, "a broker is unfenced only once it has applied its own registration",
		"each time the controller decides to unfence a broker", "KIP-631; BrokerHeartbeatManager.calculateNextBrokerState")
)

// The laws of a cluster that nothing disturbs.
var (
	UndisturbedMembers = declare(78, OfHealth, "while nothing disturbs the cluster no replica leaves the ISR, no session of a broker expires and the quorum keeps its leader",
		"each proposal to shrink an ISR, expired session and election, before the first fault and once all have been healed for a while", "replica.lag.time.max.ms, broker.session.timeout.ms, controller.quorum.fetch.timeout.ms")
	UndisturbedCommits = declare(79, OfHealth, "while nothing disturbs the cluster, what a leader appends is committed within two seconds",
		"each append and high watermark of a leader, before the first fault and once all have been healed for a while", "replica.fetch.wait.max.ms: a fetch that waits is answered as soon as there is a record")
	UndisturbedJoins = declare(90, OfHealth, "a leader asks for no replica to join the ISR that it counts, and while nothing disturbs the cluster for each once",
		"each proposal to expand an ISR", "KIP-497; Partition.maybeExpandIsr")
	UndisturbedAnswers = declare(91, OfHealth, "while nothing disturbs the cluster, no more than ten requests of a host to a server fail in ten seconds",
		"each answer with an error code, request that is given up, and attempt to connect that fails, before the first fault and once all have been healed for a while", "retry.backoff.ms, KIP-580; NetworkClient")
	UndisturbedRequests = declare(92, OfHealth, "while nothing disturbs the cluster, no client asks a server the same more than ten times in a second, and once for each batch that was appended there lately",
		"each second, before the first fault and once all have been healed for a while, of each API and connection", "fetch.max.wait.ms, replica.fetch.wait.max.ms, metadata.max.age.ms, broker.heartbeat.interval.ms")
	UndisturbedTurns = declare(93, OfHealth, "while nothing disturbs the cluster, a server is woken in a second no more than a hundred times, and four times for each request, answer, append and log that is opened",
		"each second, before the first fault and once all have been healed for a while, of each server", "purgatories, timers and selectors wake for what happens (DelayedOperationPurgatory, SystemTimer)")
	UndisturbedWaits = declare(94, OfHealth, "while nothing disturbs the cluster, a request is answered within two seconds, beyond what it may wait for",
		"each answer, and each second, before the first fault and once all have been healed for a while; not of JoinGroup and SyncGroup", "request.timeout.ms; fetch.max.wait.ms")
)

// The laws of a coordinator: of groups.
var (
	CommitsStay = declare(48, OfCoordinator, "a coordinator begins with all that coordinators before it answered, and holds the same state where they did",
		"each shard that is loaded; each move of what a coordinator answers, where it makes fingerprints of its state", "CoordinatorRuntime; KAFKA-8896")
	OneCoordinator = declare(56, OfCoordinator, "in a leader epoch one broker coordinates what a partition of the coordinators' topic holds",
		"each shard that is loaded", "KIP-848; CoordinatorRuntime.scheduleLoadOperation")
	CoordinatorFolds = declare(84, OfCoordinator, "what a coordinator answers from is the fold of the committed log of its partition, and nothing else",
		"each move of the high watermark under a coordinator, with ktrial.coordinator.check", "KIP-848; CoordinatorRuntime, SnapshottableCoordinator")
)

// The laws of a consumer group.
var (
	OneAssignment = declare(45, OfGroup, "in a generation a partition is given to one member, and a member of a classic group is given the same whenever it asks",
		"each answer that gives a member its partitions; of classic groups with Kafka's assignors only", "KIP-62; GroupMetadataManager.classicGroupSync, TargetAssignmentBuilder")
	GenerationsGrow = declare(46, OfGroup, "the generation of a classic group grows with each rebalance that is completed",
		"each generation that is completed by the coordinator that completed the one before", "KIP-62; ClassicGroup.initNextGeneration")
	FencedCommits = declare(47, OfGroup, "a commit is accepted only in the present generation, and without one only while the group has no members",
		"each commit that is answered with success: along the log of the coordinators' topic generations never fall, of a classic group, or of a KIP-848 member's partition below the epoch in which it got it (KIP-1251)", "KIP-62, KIP-848, KIP-1251; ClassicGroup.validateOffsetCommit, ConsumerGroup.validateOffsetCommit")
	OneOwner = declare(49, OfGroup, "no two members own a partition, unless the group has removed one of them and it does not know yet",
		"each time that a member's listener is told what it owns", "NoDoubleClientAssignment of Vanlightly's kip-848; KIP-429")
	RevokedFirst = declare(50, OfGroup, "a member of a KIP-848 group is given a partition only once the member that had it has been told to give it up, or is gone",
		"each answer that gives a member its partitions by the consumer protocol", "ValidMemberEpoch of Vanlightly's kip-848; CurrentAssignmentBuilder")
	StableGroup = declare(51, OfGroup, "a KIP-848 group is Stable only when each member is in its epoch, has all that the target assignment gives it, and has nothing to give up",
		"each time that such a group of up to 64 members becomes Stable", "ValidStableGroupState of Vanlightly's kip-848; ConsumerGroup.maybeUpdateGroupState")
	OneTarget = declare(52, OfGroup, "the target assignment of a KIP-848 group gives a partition to one member; a partition that a member has, or has not given up, is known to be taken, and no other",
		"each time that such a group of up to 64 members comes into another state", "LegalTargetAssignment and partitionEpoch of Vanlightly's kip-848; ConsumerGroup.currentPartitionEpoch, KAFKA-16147")
	EpochsOfMembers = declare(53, OfGroup, "the epoch of a member never falls while it is one",
		"each answer that gives a member its partitions", "Vanlightly's kip-848; ConsumerGroupMember.memberEpoch")
	OneInstance = declare(54, OfGroup, "a group.instance.id has one member, and one that was replaced commits nothing",
		"each member that joins with one, and each commit that is answered with success", "KIP-345; ClassicGroup.replaceStaticMember")
	ExpelledInTime = declare(55, OfGroup, "a member is removed for its silence only when its coordinator has not heard of it for its session, and of a classic group for missing a rebalance only when that has lasted its rebalance timeout",
		"each member that is removed because a time was over; a tenth less is let pass, because clocks drift", "KIP-62; ClassicGroup.completeClassicGroupHeartbeat, GroupMetadataManager.scheduleConsumerGroupSessionTimeout")
	AllOwned = declare(59, OfGroup, "in a group that has been stable for 10 s while nothing disturbed the cluster each member owns what it was given, and no partition that the group had before is left out",
		"a member gives something up, or the group enters another state", "the liveness properties of Vanlightly's kip-848; KIP-62")
	GroupsEnd = declare(81, OfGroup, "in the end no group waits for members that have left",
		"the end of a run, when all is healed", "ClassicGroup.transitionTo; KIP-394")
)

// The laws of a transaction: of its coordinator, and of what follows from its decision.
var (
	ProducerEpochsGrow = declare(63, OfTransaction, "the epoch of a transactional id's producer never falls, with transaction.version 2 each end takes a new one, and a producer id is of one transactional id",
		"each state of a transactional id that is committed", "KIP-98, KIP-360, KIP-890; TransactionMetadata.prepareTransitionTo")
	LegalStates = declare(65, OfTransaction, "a transactional id goes from state to state as Kafka's does, what is decided stays decided, and no marker comes before the decision",
		"each state of a transactional id that is committed, and each marker that a leader appends", "KIP-98; TransactionState.VALID_PREVIOUS_STATES")
	MarkersEverywhere = declare(66, OfTransaction, "the markers of a transaction say what was decided, and each of its partitions has one when it is complete",
		"each marker that a leader appends, and each transaction that is complete", "KIP-98; TransactionMarkerChannelManager")
	TransactionsEnd = declare(72, OfTransaction, "in the end what is decided is complete, and a log has only transactions open that their coordinators have open",
		"the end of a run, when all is healed", "KIP-664, KIP-890")
)
