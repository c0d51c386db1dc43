package kafka

import (
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
)

// refusal is one of Kafka's errors with the reason that the answer gives.
type refusal struct {
	kind *kerr.Error
	why  string
}

// Refuse is one of Kafka's errors with the reason that the answer gives, in
// Kafka's words.
func Refuse(kind *kerr.Error, format string, args ...any) error {
	return refusal{kind, fmt.Sprintf(format, args...)}
}

func (r refusal) Error() string { return r.why + " (" + r.kind.Message + ")" }
func (r refusal) Unwrap() error { return r.kind }

// Message is err as answers carry it: the reason of a refusal, or else what
// Kafka says of the error; nil: there is none.
func Message(err error) *string {
	var r refusal
	var k *kerr.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &r):
		return &r.why
	case errors.As(err, &k):
		text := Text(k)
		return &text
	}
	why := err.Error()
	return &why
}
