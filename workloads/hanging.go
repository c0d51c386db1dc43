package workloads

import (
	"slices"
	"time"

	"github.com/ktrial/ktrial/broker/client"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/sim/env"
)

// looking is an administrator that looks for hanging transactions, as kafka-transactions.sh
// find-hanging does, until all readers are done.
type looking struct {
	w       TransactionalWrites
	s       *Stage
	readers []string
}

// hangsAfter is how long a transaction is open at least that is said to hang: longer than the
// transaction.timeout.ms of these producers.
const hangsAfter = 15 * time.Second

func (l *looking) main(h env.Host) {
	l.s.AwaitWork(h)
	cfg := client.AdminDefaults()
	cfg.DefaultAPITimeout = 5 * time.Second
	admin := client.New(h, l.s.Bootstrap, h.Name()).NewAdmin(cfg)
	for slices.ContainsFunc(l.readers, func(host string) bool { return !l.s.Done(host) }) {
		h.Sleep(l.w.LooksForHanging)
		l.look(h, admin)
	}
	admin.Close()
}

// look looks once. What cannot be learned or done now is left to the next time.
func (l *looking) look(h env.Host, admin *client.Admin) {
	var partitions []kafka.TopicPartition
	for p := range l.s.Topics[l.w.Topic] {
		partitions = append(partitions, kafka.TopicPartition{Topic: l.w.Topic, Partition: p})
	}
	hanging, err := admin.FindHanging(hangsAfter, partitions...)
	if err != nil {
		return
	}
	for _, x := range hanging {
		if admin.AbortHanging(x) == nil {
			h.Tell(&HangingAborted{Partition: x.Partition, ProducerID: x.Producer.ProducerID, Start: x.Producer.TransactionStart})
		}
	}
}
