package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/segmentio/kafka-go"
)

// kafkaGo is a member by kafka-go. Mode: eager.
func kafkaGo(ctx context.Context, m member) error {
	r := kafka.NewReader(kafka.ReaderConfig{
		Brokers:                m.brokers,
		GroupID:                m.group,
		Topic:                  m.topic,
		StartOffset:            kafka.FirstOffset,
		SessionTimeout:         6 * time.Second,
		HeartbeatInterval:      500 * time.Millisecond,
		RebalanceTimeout:       10 * time.Second,
		CommitInterval:         500 * time.Millisecond,
		MaxWait:                200 * time.Millisecond,
		WatchPartitionChanges:  true,
		PartitionWatchInterval: 2 * time.Second,
	})
	defer r.Close()
	for {
		message, err := r.ReadMessage(ctx)
		if errors.Is(err, context.Canceled) {
			return nil
		}
		if err != nil {
			fmt.Println("error", err)
			if !pause(ctx) {
				return nil
			}
			continue
		}
		record(int32(message.Partition), message.Offset, message.Value)
	}
}
