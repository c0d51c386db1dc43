package scenarios

import (
	"fmt"
	"slices"

	"github.com/ktrial/ktrial/internal/nearest"
)

// All lists every scenario, in the order of `ktrial list`.
func All() []Scenario {
	return append([]Scenario{
		Standard,
		StandardGroups,
		StandardEOS,
		StandardTable,
		Administration,
		Swarm,
		LeaderLosesPower,
		SplitNetwork,
		LeaderCutFromControllers,
		SlowFollower,
		TricklingFollower,
		RollingRestart,
		ControllerStorm,
		RackPowerCut,
		FsyncStall,
		RotOnAMinority,
		ClockTrouble,
		LateRequests,
		LeadershipPingPong,
		ReturnOfTheReplica,
		LateISRJoin,
		LastInSync,
		LateNews,
		RetriesAfterRestart,
		FirstBatches,
		VotesInTheDark,
		CombinedRoles,
		CoordinatorLoss,
		CoordinatorAlone,
		ZombieMember,
		StaticRestart,
		StaticAbsent,
		StaticTwin,
		StaticRestart848,
		PartitionsAdded,
		SubscriptionChanges,
		TopicMadeAgain,
		EagerVersusCooperativeVersus848,
		UpgradeOfAGroup,
		PoisonPillToDLQ,
		OrderOfKeys,
		SlowToGiveUp,
		LostAnswers,
		OffsetsAndClocks,
		SlowLoad,
		ScaleOut,
		CompactedTable,
		ChangelogRestore,
		CalmAfterTrouble, AsKafkaAnswers,
		ExactlyOncePipeline,
		MoneyTransfer,
		ZombieProducer,
		CoordinatorInPrepare,
		LateProduce,
		LateVerification,
		RefusedMarker,
		DecisionLost,
		LateMarkers,
		EpochsUsedUp,
		LongTransactionAndRetention,
		HangingTransaction,
		UpgradeOfTransactions,
		RebalanceInsideTransaction,
		TimeoutTooShort,
		AcksOne,
		UncleanElection,
		MinISROne,
		NoIdempotence,
		NoFsyncAllLosePower,
		CommitBeforeProcessing,
		SessionTooShort,
		UnkeyedOrder,
		ResetLatest,
		PartitionsAddedUnseen,
		LateEndTxn,
		ReadUncommitted,
		NoFencingByGeneration,
	}, declared...)
}

// declared are the scenarios of other modules.
var declared []Scenario

// Declare adds a scenario of another module: commands then find it by its name
// and list it. It is called when the program starts.
func Declare(s Scenario) {
	if err := s.Check(); err != nil {
		panic(fmt.Sprintf("scenarios: declare: %v", err))
	}
	if slices.ContainsFunc(All(), func(t Scenario) bool { return t.Name == s.Name }) {
		panic(fmt.Sprintf("scenarios: declare: there are two scenarios called %s", s.Name))
	}
	declared = append(declared, s)
}

// Find returns the scenario of that name, or an error with the nearest.
func Find(name string) (Scenario, error) {
	all := All()
	i := slices.IndexFunc(all, func(s Scenario) bool { return s.Name == name })
	if i >= 0 {
		return all[i], nil
	}
	var names []string
	for _, s := range all {
		names = append(names, s.Name)
	}
	return Scenario{}, fmt.Errorf("%w (see: ktrial list)", nearest.Unknown("scenario", name, names))
}

// Promising lists the scenarios whose configuration promises everything: all
// but the design hazards, and the swarm, which plays some of these in other shapes.
func Promising() []Scenario {
	return slices.DeleteFunc(All(), func(s Scenario) bool { return s.Lesson != "" || s.Draw != nil })
}

// Hunted lists the scenarios of a hunt for which none is named: all that promise something,
// and the swarm.
func Hunted() []Scenario {
	return slices.DeleteFunc(All(), func(s Scenario) bool { return s.Lesson != "" })
}
