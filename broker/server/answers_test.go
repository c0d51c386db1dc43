package server

import (
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/sim/env"
)

// What Apache Kafka 4.4 was seen to answer where ours once said something else.

func TestAnswers_AuthorizedOperations(t *testing.T) {
	onBroker(t, func(_ env.Host, b *Broker) {
		req := askMetadata(8, "orders", "bonds")
		plain := b.metadata(nil, req).(*kmsg.MetadataResponse)
		assert.EqualValues(t, -2147483648, plain.AuthorizedOperations, "it was not asked for")
		assert.EqualValues(t, -2147483648, plain.Topics[0].AuthorizedOperations)
		req.IncludeTopicAuthorizedOperations, req.IncludeClusterAuthorizedOperations = true, true
		resp := b.metadata(nil, req).(*kmsg.MetadataResponse)
		assert.EqualValues(t, 8096, resp.AuthorizedOperations)
		assert.EqualValues(t, 3576, resp.Topics[0].AuthorizedOperations)
		assert.EqualValues(t, 3576, resp.Topics[1].AuthorizedOperations, "of one that does not exist, too")

		cluster := kmsg.NewPtrDescribeClusterRequest()
		cluster.EndpointType, cluster.IncludeClusterAuthorizedOperations = 1, true
		assert.EqualValues(t, 8096, b.describeCluster(nil, cluster).(*kmsg.DescribeClusterResponse).ClusterAuthorizedOperations)
	})
}

func TestAnswers_MetadataByIDBeforeVersion12(t *testing.T) {
	onBroker(t, func(_ env.Host, b *Broker) {
		req := askMetadata(11, "orders")
		byID := kmsg.NewMetadataRequestTopic()
		byID.TopicID = stocks
		req.Topics = append(req.Topics, byID)
		resp := b.metadata(nil, req).(*kmsg.MetadataResponse)
		assert.Empty(t, resp.Brokers)
		assert.Nil(t, resp.ClusterID)
		assert.EqualValues(t, -1, resp.ControllerID)
		require.Len(t, resp.Topics, 2)
		for _, topic := range resp.Topics {
			assert.Equal(t, kerr.InvalidRequest.Code, topic.ErrorCode)
		}
	})
}

func TestAnswers_DescribeClusterOfWhatIsNoBroker(t *testing.T) {
	onBroker(t, func(_ env.Host, b *Broker) {
		ask := func(endpoint int8) (int16, string) {
			req := kmsg.NewPtrDescribeClusterRequest()
			req.Version, req.EndpointType = 2, endpoint
			resp := b.describeCluster(nil, req).(*kmsg.DescribeClusterResponse)
			return resp.ErrorCode, *resp.ErrorMessage
		}
		code, text := ask(2)
		assert.Equal(t, kerr.MismatchedEndpointType.Code, code)
		assert.Equal(t, "The request was sent to an endpoint of type BROKER, but we wanted an endpoint of type CONTROLLER", text)
		code, text = ask(3)
		assert.Equal(t, kerr.UnsupportedEndpointType.Code, code)
		assert.Equal(t, "Unsupported endpoint type 3", text)
	})
}

func TestAnswers_DescribeTopicPartitions(t *testing.T) {
	onBroker(t, func(_ env.Host, b *Broker) {
		ask := func(limit int32, cursor *kmsg.DescribeTopicPartitionsRequestCursor, topics ...string) *kmsg.DescribeTopicPartitionsResponse {
			req := kmsg.NewPtrDescribeTopicPartitionsRequest()
			req.ResponsePartitionLimit, req.Cursor = limit, cursor
			for _, name := range topics {
				req.Topics = append(req.Topics, kmsg.DescribeTopicPartitionsRequestTopic{Topic: name})
			}
			return b.describeTopicPartitions(nil, req).(*kmsg.DescribeTopicPartitionsResponse)
		}
		at := func(topic string, partition int32) *kmsg.DescribeTopicPartitionsRequestCursor {
			return &kmsg.DescribeTopicPartitionsRequestCursor{Topic: topic, Partition: partition}
		}
		for _, limit := range []int32{0, -1, 1} {
			resp := ask(limit, nil, "orders", "stocks")
			require.Len(t, resp.Topics, 1, "limit %d", limit)
			assert.Len(t, resp.Topics[0].Partitions, 1)
			assert.EqualValues(t, 3576, resp.Topics[0].AuthorizedOperations)
			require.NotNil(t, resp.NextCursor)
			assert.Equal(t, int32(1), resp.NextCursor.Partition)
		}
		for _, bad := range []*kmsg.DescribeTopicPartitionsRequestCursor{at("orders", -1), at("ponies", 0)} {
			resp := ask(2000, bad, "orders", "stocks")
			require.Len(t, resp.Topics, 2, "cursor %v", *bad)
			for _, topic := range resp.Topics {
				assert.Equal(t, kerr.InvalidRequest.Code, topic.ErrorCode)
				assert.Empty(t, topic.Partitions)
			}
		}
		assert.Zero(t, ask(2000, at("orders", 9), "orders").Topics[0].ErrorCode, "past the last partition there is nothing to tell")
	})
}

func TestAnswers_InitProducerIDWithAnEmptyTransactionalID(t *testing.T) {
	onBroker(t, func(_ env.Host, b *Broker) {
		req := kmsg.NewPtrInitProducerIDRequest()
		req.TransactionalID = ptr("")
		assert.Equal(t, kerr.InvalidRequest.Code, b.initProducerID(nil, req).(*kmsg.InitProducerIDResponse).ErrorCode)
	})
}

func TestAnswers_ProduceToAPartitionTwice(t *testing.T) {
	req := kmsg.NewPtrProduceRequest()
	topic := func(records ...byte) (out kmsg.ProduceRequestTopic) {
		out.Topic = "orders"
		for _, r := range records {
			out.Partitions = append(out.Partitions, kmsg.ProduceRequestTopicPartition{Partition: 0, Records: []byte{r}})
		}
		return out
	}
	req.Topics = []kmsg.ProduceRequestTopic{topic(1, 2), topic(3)}
	req.Topics[0].Partitions = append(req.Topics[0].Partitions, kmsg.ProduceRequestTopicPartition{Partition: 1, Records: []byte{4}})
	dropRepeated(req)
	require.Len(t, req.Topics, 1)
	require.Len(t, req.Topics[0].Partitions, 2)
	assert.Equal(t, []byte{3}, req.Topics[0].Partitions[0].Records, "the last counts")
	assert.Equal(t, []byte{4}, req.Topics[0].Partitions[1].Records)

	// A refused partition and one that was appended share their topic's entry.
	var refused produceRefusals
	refused.add(&req.Topics[0], 5, kerr.UnknownTopicOrPartition)
	resp := &kmsg.ProduceResponse{Topics: []kmsg.ProduceResponseTopic{{Topic: "orders", Partitions: make([]kmsg.ProduceResponseTopicPartition, 1)}}}
	refused.addTo(resp)
	require.Len(t, resp.Topics, 1)
	assert.Len(t, resp.Topics[0].Partitions, 2)
	assert.Equal(t, kafka.Code(kerr.UnknownTopicOrPartition), resp.Topics[0].Partitions[1].ErrorCode)
}

// A long request does not keep the others waiting.
func TestMetadata_LetsOthersHaveTheirTurn(t *testing.T) {
	onBroker(t, func(h env.Host, b *Broker) {
		var names []string
		for i := range 10 * portion {
			names = append(names, "unknown-"+strconv.Itoa(i))
		}
		turns := 0
		over := false
		h.Go("other", func() {
			for !over {
				turns++
				h.Sleep(100 * time.Microsecond)
			}
		})
		assert.Len(t, b.metadata(nil, askMetadata(12, names...)).(*kmsg.MetadataResponse).Topics, len(names))
		over = true
		assert.Greater(t, turns, 10)
	})
}

func TestDescribeProducers_OnceEach(t *testing.T) {
	onBroker(t, func(_ env.Host, b *Broker) {
		req := kmsg.NewPtrDescribeProducersRequest()
		req.Topics = []kmsg.DescribeProducersRequestTopic{{Topic: "bonds", Partitions: []int32{0, 0, 0}}, {Topic: "bonds", Partitions: []int32{0}}}
		resp := b.describeProducers(nil, req).(*kmsg.DescribeProducersResponse)
		assert.Len(t, resp.Topics[0].Partitions, 1)
		assert.Empty(t, resp.Topics[1].Partitions)
	})
}
