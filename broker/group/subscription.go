package group

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kbin"

	"github.com/ktrial/ktrial/broker/kafka"
)

// A consumer's subscription and assignment, as far as the coordinator reads them:
// it passes them on as bytes.

// subscribedTopics are the topics that a member is subscribed to. All versions of a
// subscription begin alike.
func subscribedTopics(subscription []byte) ([]string, error) {
	r := kbin.Reader{Src: subscription}
	version := r.Int16()
	var topics []string
	for left := r.ArrayLen(); left > 0 && r.Ok(); left-- {
		topics = append(topics, r.String())
	}
	if !r.Ok() || version < 0 {
		return nil, fmt.Errorf("group: read a subscription of %d bytes: its topics are not there", len(subscription))
	}
	return topics, nil
}

// assignedPartitions are the partitions of an assignment; none if it is not that of
// a consumer.
func assignedPartitions(assignment []byte) []kafka.TopicPartition {
	r := kbin.Reader{Src: assignment}
	r.Int16() // version
	var all []kafka.TopicPartition
	for left := r.ArrayLen(); left > 0 && r.Ok(); left-- {
		topic := r.String()
		for left := r.ArrayLen(); left > 0 && r.Ok(); left-- {
			all = append(all, kafka.TopicPartition{Topic: topic, Partition: r.Int32()})
		}
	}
	if !r.Ok() {
		return nil
	}
	return all
}
