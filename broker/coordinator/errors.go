package coordinator

import (
	"errors"

	"github.com/twmb/franz-go/pkg/kerr"
)

// refused is an error of the log as clients of a coordinator are told it. It is both:
// errors.As finds the client's first, errors.Is the log's, too.
type refused struct {
	client *kerr.Error
	cause  error
}

func (r *refused) Error() string   { return r.client.Message + ": " + r.cause.Error() }
func (r *refused) Unwrap() []error { return []error{r.client, r.cause} }

// answers are the errors by which Kafka answers clients of coordinators for those that
// the log has (CoordinatorOperationExceptionHelper).
var answers = []struct{ cause, client *kerr.Error }{
	{kerr.UnknownTopicOrPartition, kerr.CoordinatorNotAvailable},
	{kerr.NotEnoughReplicas, kerr.CoordinatorNotAvailable},
	{kerr.RequestTimedOut, kerr.CoordinatorNotAvailable},
	{kerr.NotLeaderForPartition, kerr.NotCoordinator},
	{kerr.KafkaStorageError, kerr.NotCoordinator},
	// Kafka appends whatever the leader epoch; ours names it, so that nothing is
	// appended that was decided on the state of another leadership.
	{kerr.FencedLeaderEpoch, kerr.NotCoordinator},
	{kerr.UnknownLeaderEpoch, kerr.NotCoordinator},
	{kerr.MessageTooLarge, kerr.UnknownServerError},
	{kerr.RecordListTooLarge, kerr.UnknownServerError},
	{kerr.InvalidFetchSize, kerr.UnknownServerError},
	{kerr.NetworkException, kerr.CoordinatorLoadInProgress},
}

// clientError is err as clients are told it. The cause stays inside.
func clientError(err error) error {
	for _, a := range answers {
		if errors.Is(err, a.cause) {
			return &refused{a.client, err}
		}
	}
	return err
}
