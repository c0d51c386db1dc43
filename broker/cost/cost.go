// Package cost names the kinds of work that brokers and clients do, for hosts whose
// work takes time. What one of each takes is for a profile to say.
package cost

import (
	"github.com/ktrial/ktrial/broker/record"
	"github.com/ktrial/ktrial/sim/env"
)

// The kinds of work.
const (
	NetworkRequest env.Kind = iota // of a network thread: a request and its answer
	NetworkByte                    // received or sent
	IORequest                      // of an io thread: a request
	ProduceBatch                   // appended by a leader
	ProduceByte
	FetchPartition // that a fetch looks at
	FetchByte      // that it reads
	FollowRequest  // of a replica fetcher: an answer that has something
	FollowPartition
	FollowBatch
	FollowByte

	ProducerRecord // of the application's thread
	ProducerByte
	ProducerBatch // of the sender
	ProducerRequest
	SenderByte
	ConsumerRecord
	ConsumerByte
	ConsumerRequest

	compress         // of clients, and decompress, by codec: see Compress
	brokerCompresses = compress + 2*codecs
	kinds            = brokerCompresses + 2*codecs
)

const codecs = 5

// Kinds is how many there are.
const Kinds = int(kinds)

// The stages of a record's way. Those in a broker are weighed by bytes.
const (
	Batching  env.Stage = iota // in the producer's accumulator, until its batch is sent
	InFlight                   // until the answer: it holds all those that follow
	Queueing                   // for the network thread and for an io thread
	Appending                  // by the io thread
	Replicating
	Answering
	AppendingEach // the same as Appending, by requests
	Syncing       // of that, waiting for the disk: by batches
)

// Compress is the work of compressing a byte with a codec.
func Compress(codec record.Codec) env.Kind { return compress + 2*env.Kind(codec) }

// Decompress is the work of making a byte of what was compressed.
func Decompress(codec record.Codec) env.Kind { return Compress(codec) + 1 }

// BrokerCompress is Compress by a leader whose log has another codec than the producer.
func BrokerCompress(codec record.Codec) env.Kind { return brokerCompresses + 2*env.Kind(codec) }

// BrokerDecompress is Decompress by a leader that looks at the records of a batch.
func BrokerDecompress(codec record.Codec) env.Kind { return BrokerCompress(codec) + 1 }
