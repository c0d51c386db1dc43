package history

// FaultKind is something that happened to the cluster and lets a configuration
// off a promise. A file has it by its name.
type FaultKind uint8

// What may have happened.
const (
	// OtherFault permits no anomaly: Event.Name says what it was.
	OtherFault FaultKind = iota
	// UncleanElection: a replica that was not in sync was elected leader.
	UncleanElection
	// LastISRLost: the last in-sync replica lost data.
	LastISRLost
	// LossyCrashes: several replicas lost at once what they had not synced.
	LossyCrashes
	// DelayedEndTxn: a request that ends a transaction arrived late, and ended the one of
	// Event.Transaction, for which it was not meant.
	DelayedEndTxn
	// OffsetReset: a position began anew as auto.offset.reset says.
	OffsetReset
	// ReplacedLeader: a leader was replaced and serves on, for it has not heard of
	// it; ReplacedLeaderHeard: it has.
	ReplacedLeader
	ReplacedLeaderHeard
	// DamagedDisk: a disk lied or rots, so that what was synced may be gone.
	DamagedDisk
	// ReplacedCoordinator: another broker coordinates groups by now, and the one before
	// answers on; ReplacedCoordinatorHeard: it does no longer.
	ReplacedCoordinator
	ReplacedCoordinatorHeard
)

var faultNames = [...]string{"", "unclean-election", "last-isr-lost", "lossy-crashes", "delayed-endtxn",
	"offset-reset", "replaced-leader", "replaced-leader-heard", "damaged-disk",
	"replaced-coordinator", "replaced-coordinator-heard"}

// String is the name of the fault in a file; empty for OtherFault.
func (f FaultKind) String() string { return faultNames[f] }

// Faults are all kinds that let a configuration off something.
func Faults() []FaultKind {
	var all []FaultKind
	for f := UncleanElection; int(f) < len(faultNames); f++ {
		all = append(all, f)
	}
	return all
}

// FaultNamed is the kind of this name; OtherFault if there is none.
func FaultNamed(name string) FaultKind {
	for f, known := range faultNames {
		if known == name {
			return FaultKind(f)
		}
	}
	return OtherFault
}
