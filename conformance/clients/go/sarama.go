package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/IBM/sarama"
)

// saramaMember is a member by sarama. Modes: eager, sticky, static.
func saramaMember(ctx context.Context, m member) error {
	c := sarama.NewConfig()
	c.Version = sarama.V2_8_0_0
	c.Consumer.Offsets.Initial = sarama.OffsetOldest
	c.Consumer.Offsets.AutoCommit.Interval = 500 * time.Millisecond
	c.Consumer.Group.Session.Timeout = 6 * time.Second
	c.Consumer.Group.Heartbeat.Interval = 500 * time.Millisecond
	c.Metadata.RefreshFrequency = 2 * time.Second
	c.Consumer.Group.Rebalance.GroupStrategies = []sarama.BalanceStrategy{sarama.NewBalanceStrategyRange()}
	if m.mode == "sticky" {
		c.Consumer.Group.Rebalance.GroupStrategies = []sarama.BalanceStrategy{sarama.NewBalanceStrategySticky()}
	}
	if m.instance != "" {
		c.Consumer.Group.InstanceId = m.instance
	}
	var group sarama.ConsumerGroup
	for {
		var err error
		if group, err = sarama.NewConsumerGroup(m.brokers, m.group, c); err == nil {
			break
		}
		fmt.Println("error", err)
		if !pause(ctx) {
			return nil
		}
	}
	defer group.Close()
	for ctx.Err() == nil {
		err := group.Consume(ctx, []string{m.topic}, handler{})
		if errors.Is(err, sarama.ErrClosedConsumerGroup) {
			return nil
		}
		if err != nil {
			fmt.Println("error", err)
			pause(ctx)
		}
	}
	return nil
}

// pause waits a moment, and says whether to go on.
func pause(ctx context.Context) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(time.Second):
		return true
	}
}

type handler struct{}

func (handler) Setup(s sarama.ConsumerGroupSession) error {
	for _, ps := range s.Claims() {
		fmt.Println("assigned", ps)
	}
	return nil
}

func (handler) Cleanup(sarama.ConsumerGroupSession) error {
	fmt.Println("revoked")
	return nil
}

func (handler) ConsumeClaim(s sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for {
		select {
		case r, ok := <-claim.Messages():
			if !ok {
				return nil
			}
			record(r.Partition, r.Offset, r.Value)
			s.MarkMessage(r, "")
		case <-s.Context().Done():
			return nil
		}
	}
}
