package scenarios

import (
	"github.com/ktrial/ktrial/conformance/sessions"
	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/workloads"
)

// AsKafkaAnswers: clients send requests of all kinds, most of which no client library would,
// and each answer must be the one that Apache Kafka 4.4 gave when it was asked the same.
var AsKafkaAnswers = Scenario{
	Name:     "as-kafka-answers",
	About:    "requests of all kinds, legal and not, are answered as Apache Kafka 4.4 answered them",
	Cluster:  Cluster{Controllers: 3, Brokers: 3, Config: sessions.Settings()},
	Workload: workloads.Answers{},
	Laws:     []Law{FoundAsTold},
	Probes:   []*ledger.Probe{workloads.ProbeSessionCompared},
}
