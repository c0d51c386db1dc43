package server

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/config"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/metadata"
	"github.com/ktrial/ktrial/broker/wire"
	"github.com/ktrial/ktrial/sim"
	"github.com/ktrial/ktrial/sim/env"
)

var (
	orders = kafka.UUID{1}
	stocks = kafka.UUID{2}
)

// cluster is an image: brokers 1 to 3, of which 3 is fenced and 2 has no
// listener for clients; topic orders with three partitions, topic stocks with
// one that has no leader.
func cluster(t require.TestingT) *metadata.Image {
	im := metadata.NewImage()
	apply := func(recs ...metadata.Record) {
		for _, r := range recs {
			require.NoError(t, im.Apply(r))
		}
	}
	for id := kafka.NodeID(1); id <= 3; id++ {
		at := metadata.Endpoint{Name: ListenerName, Host: "broker-" + string(rune('0'+id)), Port: 9092}
		if id == 2 {
			at.Name = "INTERNAL"
		}
		apply(&metadata.RegisterBrokerRecord{BrokerID: id, IncarnationID: kafka.UUID{byte(id)}, BrokerEpoch: kafka.BrokerEpoch(id), Fenced: id == 3, EndPoints: []metadata.Endpoint{at}})
	}
	apply(&metadata.TopicRecord{Name: "orders", TopicID: orders}, &metadata.TopicRecord{Name: "stocks", TopicID: stocks})
	for p := range int32(3) {
		leader := kafka.NodeID(p + 1)
		apply(&metadata.PartitionRecord{PartitionID: p, TopicID: orders, Replicas: []kafka.NodeID{1, 2, 3}, ISR: []kafka.NodeID{leader}, Leader: leader, LeaderEpoch: 7})
	}
	apply(&metadata.PartitionRecord{TopicID: stocks, Replicas: []kafka.NodeID{3}, ISR: []kafka.NodeID{3}, Leader: kafka.NoNode, LeaderEpoch: 2, ELR: []kafka.NodeID{}, LastKnownELR: []kafka.NodeID{3}})
	apply(&metadata.ConfigRecord{ResourceType: metadata.TopicResource, ResourceName: "orders", Name: "retention.ms", Value: ptr("1000")})
	im.Offset = 100
	return im
}

// onBroker runs f with a broker that has the cluster's image and no more.
func onBroker(t *testing.T, f func(h env.Host, b *Broker)) {
	sim.RunHost(t, 1, func(h env.Host) {
		b := &Broker{Host: h, NodeID: 1, ClusterID: "C", Metadata: NewPublisher(h, 1, nil)}
		config.Default(&b.Settings)
		b.Settings.AutoCreateTopics = false
		b.Metadata.image = cluster(t)
		f(h, b)
	})
}

func askMetadata(version int16, topics ...string) *kmsg.MetadataRequest {
	req := kmsg.NewPtrMetadataRequest()
	req.Version = version
	for _, name := range topics {
		topic := kmsg.NewMetadataRequestTopic()
		topic.Topic = ptr(name)
		req.Topics = append(req.Topics, topic)
	}
	return req
}

func TestMetadata_AllTopics(t *testing.T) {
	onBroker(t, func(_ env.Host, b *Broker) {
		resp := b.metadata(nil, askMetadata(13)).(*kmsg.MetadataResponse)
		require.Len(t, resp.Brokers, 1, "neither the fenced one nor the one without the listener")
		assert.Equal(t, "broker-1", resp.Brokers[0].Host)
		assert.EqualValues(t, 9092, resp.Brokers[0].Port)
		assert.EqualValues(t, 1, resp.ControllerID)
		assert.Equal(t, "C", *resp.ClusterID)
		require.Len(t, resp.Topics, 2)
		assert.Equal(t, "orders", *resp.Topics[0].Topic)
		assert.EqualValues(t, orders, resp.Topics[0].TopicID)
		p := resp.Topics[0].Partitions
		assert.Zero(t, p[0].ErrorCode)
		assert.EqualValues(t, 1, p[0].Leader)
		assert.EqualValues(t, 7, p[0].LeaderEpoch)
		assert.Equal(t, []int32{1, 2, 3}, p[0].Replicas)
		assert.Equal(t, []int32{1}, p[0].ISR)
		assert.Equal(t, []int32{3}, p[0].OfflineReplicas)
		assert.Equal(t, kerr.ListenerNotFound.Code, p[1].ErrorCode)
		assert.EqualValues(t, -1, p[1].Leader)
		assert.Equal(t, kerr.LeaderNotAvailable.Code, resp.Topics[1].Partitions[0].ErrorCode)

		old := b.metadata(nil, askMetadata(5)).(*kmsg.MetadataResponse)
		assert.Equal(t, kerr.LeaderNotAvailable.Code, old.Topics[0].Partitions[1].ErrorCode)

		none := askMetadata(1)
		none.Topics = []kmsg.MetadataRequestTopic{}
		assert.Empty(t, b.metadata(nil, none).(*kmsg.MetadataResponse).Topics, "v1: an empty list asks for none")
		none.Version = 0
		assert.Len(t, b.metadata(nil, none).(*kmsg.MetadataResponse).Topics, 2, "v0: an empty list asks for all")
	})
}

func TestMetadata_OfTopicsThatAreNotThere(t *testing.T) {
	onBroker(t, func(_ env.Host, b *Broker) {
		resp := b.metadata(nil, askMetadata(12, "stocks", "bonds", "bad name", "stocks")).(*kmsg.MetadataResponse)
		require.Len(t, resp.Topics, 3)
		assert.Zero(t, resp.Topics[0].ErrorCode)
		assert.Equal(t, kerr.UnknownTopicOrPartition.Code, resp.Topics[1].ErrorCode)
		assert.Equal(t, kerr.InvalidTopicException.Code, resp.Topics[2].ErrorCode)

		byID := kmsg.NewPtrMetadataRequest()
		byID.Version = 12
		for _, id := range []kafka.UUID{stocks, {9}} {
			topic := kmsg.NewMetadataRequestTopic()
			topic.TopicID = id
			byID.Topics = append(byID.Topics, topic)
		}
		resp = b.metadata(nil, byID).(*kmsg.MetadataResponse)
		assert.Equal(t, "stocks", *resp.Topics[0].Topic)
		assert.Equal(t, kerr.UnknownTopicID.Code, resp.Topics[1].ErrorCode)
		assert.Nil(t, resp.Topics[1].Topic)
		byID.Version = 11
		assert.Equal(t, kerr.InvalidRequest.Code, b.metadata(nil, byID).(*kmsg.MetadataResponse).Topics[0].ErrorCode)
	})
}

func TestDescribeTopicPartitions_Pages(t *testing.T) {
	onBroker(t, func(_ env.Host, b *Broker) {
		req := kmsg.NewPtrDescribeTopicPartitionsRequest()
		req.ResponsePartitionLimit = 2
		var pages [][]int
		for {
			resp := b.describeTopicPartitions(nil, req).(*kmsg.DescribeTopicPartitionsResponse)
			var page []int
			for _, topic := range resp.Topics {
				page = append(page, len(topic.Partitions))
			}
			pages = append(pages, page)
			if resp.NextCursor == nil {
				last := resp.Topics[len(resp.Topics)-1]
				assert.Equal(t, "stocks", *last.Topic)
				assert.Equal(t, []int32{3}, last.Partitions[0].LastKnownELR)
				break
			}
			c := kmsg.NewDescribeTopicPartitionsRequestCursor()
			c.Topic, c.Partition = resp.NextCursor.Topic, resp.NextCursor.Partition
			req.Cursor = &c
		}
		assert.Equal(t, [][]int{{2}, {1, 1}}, pages)
	})
}

func TestDescribeCluster(t *testing.T) {
	onBroker(t, func(_ env.Host, b *Broker) {
		req := kmsg.NewPtrDescribeClusterRequest()
		req.Version, req.EndpointType = 2, 1
		assert.Len(t, b.describeCluster(nil, req).(*kmsg.DescribeClusterResponse).Brokers, 1)
		req.IncludeFencedBrokers = true
		resp := b.describeCluster(nil, req).(*kmsg.DescribeClusterResponse)
		require.Len(t, resp.Brokers, 2)
		assert.True(t, resp.Brokers[1].IsFenced)
		assert.EqualValues(t, 1, resp.ControllerID)
		req.EndpointType = 2
		assert.Equal(t, kerr.MismatchedEndpointType.Code, b.describeCluster(nil, req).(*kmsg.DescribeClusterResponse).ErrorCode)
	})
}

func TestDescribeConfigs_SaysWhereAValueComesFrom(t *testing.T) {
	onBroker(t, func(_ env.Host, b *Broker) {
		b.Given = map[string]string{"log.segment.bytes": "4096"}
		ask := func(kind kmsg.ConfigResourceType, name string, keys ...string) kmsg.DescribeConfigsResponseResource {
			req := kmsg.NewPtrDescribeConfigsRequest()
			req.Version, req.IncludeSynonyms = 4, true
			r := kmsg.NewDescribeConfigsRequestResource()
			r.ResourceType, r.ResourceName, r.ConfigNames = kind, name, keys
			req.Resources = append(req.Resources, r)
			return b.describeConfigs(nil, req).(*kmsg.DescribeConfigsResponse).Resources[0]
		}
		got := ask(kmsg.ConfigResourceTypeTopic, "orders", "retention.ms", "segment.bytes", "flush.ms")
		require.Len(t, got.Configs, 3)
		by := map[string]kmsg.DescribeConfigsResponseResourceConfig{}
		for _, c := range got.Configs {
			by[c.Name] = c
		}
		assert.Equal(t, "1000", *by["retention.ms"].Value)
		assert.Equal(t, kmsg.ConfigSourceDynamicTopicConfig, by["retention.ms"].Source)
		assert.Len(t, by["retention.ms"].ConfigSynonyms, 1, "in Kafka what is not set in milliseconds has no name in them")
		assert.Equal(t, "4096", *by["segment.bytes"].Value)
		assert.Equal(t, kmsg.ConfigSourceStaticBrokerConfig, by["segment.bytes"].Source)
		assert.True(t, by["flush.ms"].IsDefault)

		assert.Len(t, ask(kmsg.ConfigResourceTypeTopic, "orders").Configs, 37)
		assert.Equal(t, kerr.UnknownTopicOrPartition.Code, ask(kmsg.ConfigResourceTypeTopic, "bonds").ErrorCode)
		assert.NotEmpty(t, ask(kmsg.ConfigResourceTypeBroker, "1").Configs)
		assert.Equal(t, kerr.InvalidRequest.Code, ask(kmsg.ConfigResourceTypeBroker, "2").ErrorCode)
		assert.Equal(t, kerr.InvalidRequest.Code, ask(kmsg.ConfigResourceTypeBrokerLogger, "2").ErrorCode)
		assert.Zero(t, ask(kmsg.ConfigResourceTypeBrokerLogger, "1").ErrorCode)
	})
}

func TestProduce_WhatNeverGetsToTheReplicas(t *testing.T) {
	ask := func(version, acks int16, topic string, id kafka.UUID, partition int32) *kmsg.ProduceRequest {
		req := kmsg.NewPtrProduceRequest()
		req.Version, req.Acks = version, acks
		out := kmsg.NewProduceRequestTopic()
		out.Topic, out.TopicID = topic, id
		p := kmsg.NewProduceRequestTopicPartition()
		p.Partition = partition
		out.Partitions = append(out.Partitions, p)
		req.Topics = append(req.Topics, out)
		return req
	}
	for name, c := range map[string]struct {
		req  *kmsg.ProduceRequest
		want error
	}{
		"two acks":             {ask(9, 2, "orders", kafka.UUID{}, 5), kerr.UnknownTopicOrPartition},
		"an old version":       {ask(2, 1, "orders", kafka.UUID{}, 0), kerr.UnsupportedForMessageFormat},
		"an unknown topic":     {ask(9, 1, "bonds", kafka.UUID{}, 0), kerr.UnknownTopicOrPartition},
		"an unknown partition": {ask(9, 1, "orders", kafka.UUID{}, 5), kerr.UnknownTopicOrPartition},
		"an unknown topic id":  {ask(13, 1, "", kafka.UUID{5}, 0), kerr.UnknownTopicID},
		"nothing wrong":        {ask(9, 1, "orders", kafka.UUID{}, 0), nil},
		"a known topic id":     {ask(13, 1, "", orders, 0), nil},
	} {
		var refused produceRefusals
		fit := refused.sift(&wire.Context{}, cluster(t), c.req)
		if c.want == nil {
			assert.Same(t, c.req, fit, name)
			assert.Equal(t, "orders", fit.Topics[0].Topic, name)
			assert.Empty(t, refused.topics, name)
			continue
		}
		assert.Empty(t, fit.Topics, name)
		require.Len(t, refused.topics, 1, name)
		assert.Equal(t, kafka.Code(c.want), refused.topics[0].Partitions[0].ErrorCode, name)
	}

	mixed := ask(9, 1, "orders", kafka.UUID{}, 0)
	mixed.Topics = append(mixed.Topics, ask(9, 1, "bonds", kafka.UUID{}, 0).Topics...)
	var refused produceRefusals
	fit := refused.sift(&wire.Context{}, cluster(t), mixed)
	require.Len(t, fit.Topics, 1)
	assert.Len(t, mixed.Topics, 2, "the request is left as it came")
	assert.Len(t, refused.topics, 1)
}

func TestLeaderHints(t *testing.T) {
	im := cluster(t)
	var hints leaderHints
	id, epoch := hints.leader(im, kafka.TopicPartition{Topic: "orders", Partition: 0})
	assert.EqualValues(t, 1, id)
	assert.EqualValues(t, 7, epoch)
	hints.leader(im, kafka.TopicPartition{Topic: "orders", Partition: 0})
	hints.leader(im, kafka.TopicPartition{Topic: "orders", Partition: 1})
	assert.Len(t, hints.brokers, 1, "each once, and only brokers that can be reached")
	id, epoch = hints.leader(im, kafka.TopicPartition{Topic: "bonds"})
	assert.EqualValues(t, -1, id)
	assert.EqualValues(t, -1, epoch)
}
