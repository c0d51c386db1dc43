package kafka

import "github.com/twmb/franz-go/pkg/kerr"

// Text is what Kafka 4.4 says to an error where an answer carries a text
// (Errors.java). Mostly these are the texts of kerr.
func Text(e *kerr.Error) string {
	if text, ok := texts[e]; ok {
		return text
	}
	return e.Description
}

// texts are those that kerr words in another way.
var texts = map[*kerr.Error]string{
	kerr.NotLeaderForPartition:              "For requests intended only for the leader, this error indicates that the broker is not the current leader. For requests intended for any replica, this error indicates that the broker is not a replica of the topic partition.",
	kerr.ReplicaNotAvailable:                "The replica is not available for the requested topic-partition. Produce/Fetch requests and other requests intended only for the leader or follower return NOT_LEADER_OR_FOLLOWER if the broker is not a replica of the topic-partition.",
	kerr.MessageTooLarge:                    "The request included a message larger than the max message size the server will accept.",
	kerr.InvalidGroupID:                     "The group id is invalid.",
	kerr.TopicAuthorizationFailed:           "Topic authorization failed.",
	kerr.GroupAuthorizationFailed:           "Group authorization failed.",
	kerr.InvalidProducerEpoch:               "Producer attempted to produce with an old epoch.",
	kerr.TransactionalIDAuthorizationFailed: "Transactional Id authorization failed.",
	kerr.FencedLeaderEpoch:                  "The leader epoch in the request is older than the epoch on the broker.",
	kerr.UnknownLeaderEpoch:                 "The leader epoch in the request is newer than the epoch on the broker.",
	kerr.StaleBrokerEpoch:                   "Broker epoch has changed.",
	kerr.OffsetNotAvailable:                 "The leader high watermark has not caught up from a recent leader election so the offsets cannot be guaranteed to be monotonically increasing.",
	kerr.MemberIDRequired:                   "The group member needs to have a valid member id before actually entering a consumer group.",
	kerr.PreferredLeaderNotAvailable:        "The preferred leader was not available.",
	kerr.GroupMaxSizeReached:                "The group has reached its maximum size.",
	kerr.EligibleLeadersNotAvailable:        "Eligible topic partition leaders are not available.",
	kerr.ElectionNotNeeded:                  "Leader election not needed for topic partition.",
	kerr.InvalidRecord:                      "This record has failed the validation on broker and hence will be rejected.",
	kerr.InconsistentVoterSet:               "Indicates that the either the sender or recipient of a voter-only request is not one of the expected voters.",
	kerr.UnknownControllerID:                "This controller ID is not known.",
}

// NameOf is Kafka's name of an error. kerr has the name that one had before Kafka 2.6.
func NameOf(err *kerr.Error) string {
	if err == kerr.NotLeaderForPartition {
		return "NOT_LEADER_OR_FOLLOWER"
	}
	return err.Message
}
