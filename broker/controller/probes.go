package controller

import (
	"github.com/ktrial/ktrial/broker/witness"
	"github.com/ktrial/ktrial/ledger"
)

// The rare states that trials must have met.
var (
	ProbeTwoSessions = ledger.NewProbe("controller: two sessions expired at once",
		"the controller fenced several brokers in one step")
	ProbeFailover = ledger.ProbeOn(new(witness.ControllerActive).Kind(), "controller failover",
		"another controller became active", func(e *witness.ControllerActive) bool { return e.Brokers > 0 })
	ProbeBrokerFenced = ledger.ProbeOn[witness.BrokerFenced](new(witness.BrokerFenced).Kind(), "broker fenced",
		"a broker was fenced: its session expired, or it restarted", nil)
	ProbeControlledShutdown = ledger.ProbeOn[witness.BrokerLeaving](new(witness.BrokerLeaving).Kind(), "controlled shutdown",
		"a broker handed over its leaderships before it stopped", nil)
	ProbeNoLeader = ledger.ProbeOn(new(witness.LeaderChosen).Kind(), "controller: partition without a leader",
		"no replica of a partition may lead", func(e *witness.LeaderChosen) bool { return e.From == witness.NoChoice })
	ProbeLastKnownLeader = ledger.ProbeOn(new(witness.LeaderChosen).Kind(), "controller: last known leader elected",
		"all eligible replicas came back unclean, and the last leader was elected (KIP-966)", func(e *witness.LeaderChosen) bool { return e.From == witness.LastKnown })
	ProbeUncleanElection = ledger.ProbeOn(new(witness.LeaderChosen).Kind(), "controller: unclean leader elected",
		"a replica outside of ISR and ELR was elected", func(e *witness.LeaderChosen) bool { return e.From == witness.Unclean })
	ProbeElectedFromELR = ledger.ProbeOn(new(witness.LeaderChosen).Kind(), "controller: leader elected from the ELR",
		"an eligible leader replica was elected (KIP-966)", func(e *witness.LeaderChosen) bool { return e.From == witness.FromELR })
	ProbeCleanRestart = ledger.NewProbe("clean restart",
		"a broker registered again after a controlled shutdown")
	ProbeUncleanRestart = ledger.NewProbe("unclean restart detected",
		"a broker registered again without the mark of a clean shutdown (KIP-966)")
	ProbeFencedKeepsID = ledger.NewProbe("controller: a fenced broker keeps its id",
		"a registration was refused because the fenced broker that has the id has a session")
	ProbeLeftUnknown = ledger.NewProbe("controller: broker stays until others know that it leaves",
		"a broker that leads nothing any more was not let end, because another one had not applied that yet")
	ProbePlacedOnStopped = ledger.NewProbe("controller: replica placed on a broker that has shut down",
		"a new partition was given a replica on a broker that has shut down in order and is not registered again yet")
	ProbeShuttingDownKeptOut = ledger.NewProbe("controller: replica that is shutting down kept out of the ISR",
		"an AlterPartition request was refused for a broker in controlled shutdown")
	ProbeFencedKeptOut = ledger.NewProbe("controller: fenced replica kept out of the ISR",
		"an AlterPartition request was refused for a fenced broker")
	ProbeEarlierKeptOut = ledger.NewProbe("controller: replica of an earlier incarnation kept out of the ISR",
		"an AlterPartition request was refused for a broker epoch that is gone (KIP-903)")
)
