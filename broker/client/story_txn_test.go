package client

import (
	"fmt"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/kafka"
)

// doTxn runs a command of a story of transactions; false: it is none.
func (s *story) doTxn(words []string) bool {
	call := func(name string, err error) {
		if err != nil {
			s.say("%s: %v", name, err)
			return
		}
		id, epoch := s.producer.Identity()
		s.say("%s: done, id %d, epoch %d", name, id, epoch)
	}
	switch words[0] {
	case "features": // features 2: transaction.version 2 is finalized
		s.fake.finalize(int16(s.number(words[1])))
	case "init":
		call("init", s.producer.InitTransactions())
	case "begin":
		call("begin", s.producer.BeginTransaction())
	case "commit-transaction":
		call("commit", s.producer.CommitTransaction())
	case "abort-transaction":
		call("abort", s.producer.AbortTransaction())
	case "send-offset": // send-offset 0@7: of group g, which has no members
		var p, at int64
		_, err := fmt.Sscanf(words[1], "%d@%d", &p, &at)
		if err != nil {
			s.t.Fatal(err)
		}
		call("offset", s.producer.SendOffsets(Offsets{orders(int32(p)): {Offset: kafka.Offset(at), LeaderEpoch: kafka.NoEpoch}}, GroupMetadata{Group: "g", Generation: NoGeneration}))
	case "other": // other till: another producer with that transactional.id begins
		p := producer(s.t, s.client, quick("transactional.id="+words[1], "max.block.ms=60000"))
		err := p.InitTransactions()
		id, epoch := p.Identity()
		s.say("the other: %v, id %d, epoch %d", err, id, epoch)
	case "timeout": // timeout till: the coordinator aborts what is open for too long
		x := s.fake.txns.ids[words[1]]
		x.epoch++
		s.fake.complete(0, x, false)
	case "close-in-order":
		s.producer.Close(closeTimeout)
	default:
		return false
	}
	return true
}

// txnText is a request about transactions and its answer.
func txnText(req kmsg.Request, resp kmsg.Response) (asked, answer string) {
	version := fmt.Sprintf(" v%d", req.GetVersion())
	switch r := req.(type) {
	case *kmsg.InitProducerIDRequest:
		a := resp.(*kmsg.InitProducerIDResponse)
		if r.TransactionalID != nil {
			asked = " for " + *r.TransactionalID
		}
		if r.ProducerID >= 0 {
			asked += fmt.Sprintf(" of id %d, epoch %d", r.ProducerID, r.ProducerEpoch)
		}
		answer = text(a.ErrorCode, fmt.Sprintf("id %d, epoch %d", a.ProducerID, a.ProducerEpoch))
	case *kmsg.AddPartitionsToTxnRequest:
		a := resp.(*kmsg.AddPartitionsToTxnResponse)
		for _, t := range r.Topics {
			asked += fmt.Sprintf(" %v", t.Partitions)
		}
		for _, t := range a.Topics {
			for _, p := range t.Partitions {
				answer += text(p.ErrorCode, " added")
			}
		}
		asked = version + asked
	case *kmsg.AddOffsetsToTxnRequest:
		asked, answer = version+" of "+r.Group, text(resp.(*kmsg.AddOffsetsToTxnResponse).ErrorCode, "added")
	case *kmsg.TxnOffsetCommitRequest:
		asked = version
		for _, t := range r.Topics {
			for _, p := range t.Partitions {
				asked += fmt.Sprintf(" %d@%d", p.Partition, p.Offset)
			}
		}
		for _, t := range resp.(*kmsg.TxnOffsetCommitResponse).Topics {
			for _, p := range t.Partitions {
				answer += text(p.ErrorCode, " pending")
			}
		}
	case *kmsg.EndTxnRequest:
		a := resp.(*kmsg.EndTxnResponse)
		asked = version + map[bool]string{true: " commit", false: " abort"}[r.Commit] + fmt.Sprintf(" of epoch %d", r.ProducerEpoch)
		answer = text(a.ErrorCode, "done")
		if a.ProducerID >= 0 {
			answer += fmt.Sprintf(", id %d, epoch %d", a.ProducerID, a.ProducerEpoch)
		}
	}
	return asked, strings.TrimSpace(answer)
}
