package controller

import "github.com/ktrial/ktrial/ledger"

// The rare states that trials must have met.
var (
	ProbeTwoSessions = ledger.NewProbe("controller: two sessions expired at once",
		"the controller fenced several brokers in one step")
	ProbeFailover = ledger.NewProbe("controller failover",
		"another controller became active")
	ProbeBrokerFenced = ledger.NewProbe("broker fenced",
		"a broker was fenced: its session expired, or it restarted")
	ProbeControlledShutdown = ledger.NewProbe("controlled shutdown",
		"a broker handed over its leaderships before it stopped")
	ProbeNoLeader = ledger.NewProbe("controller: partition without a leader",
		"no replica of a partition may lead")
	ProbeLastKnownLeader = ledger.NewProbe("controller: last known leader elected",
		"all eligible replicas came back unclean, and the last leader was elected (KIP-966)")
	ProbeUncleanElection = ledger.NewProbe("controller: unclean leader elected",
		"a replica outside of ISR and ELR was elected")
	ProbeElectedFromELR = ledger.NewProbe("controller: leader elected from the ELR",
		"an eligible leader replica was elected (KIP-966)")
	ProbeCleanRestart = ledger.NewProbe("clean restart",
		"a broker registered again after a controlled shutdown")
	ProbeUncleanRestart = ledger.NewProbe("unclean restart detected",
		"a broker registered again without the mark of a clean shutdown (KIP-966)")
	ProbeShuttingDownKeptOut = ledger.NewProbe("controller: replica that is shutting down kept out of the ISR",
		"an AlterPartition request was refused for a broker in controlled shutdown")
	ProbeFencedKeptOut = ledger.NewProbe("controller: fenced replica kept out of the ISR",
		"an AlterPartition request was refused for a fenced broker")
	ProbeEarlierKeptOut = ledger.NewProbe("controller: replica of an earlier incarnation kept out of the ISR",
		"an AlterPartition request was refused for a broker epoch that is gone (KIP-903)")
)
