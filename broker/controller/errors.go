package controller

import (
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/ktrial/ktrial/broker/kafka"
)

// refusal is one of Kafka's errors with the reason that the answer gives.
type refusal struct {
	kind *kerr.Error
	why  string
}

func refuse(kind *kerr.Error, format string, args ...any) error {
	return refusal{kind, fmt.Sprintf(format, args...)}
}

func (r refusal) Error() string { return r.why + " (" + r.kind.Message + ")" }
func (r refusal) Unwrap() error { return r.kind }

// Message is err as responses carry it: in Kafka's words.
func Message(err error) *string { return message(err) }

func message(err error) *string {
	var r refusal
	var k *kerr.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &r):
		return &r.why
	case errors.As(err, &k):
		text := kafka.Text(k)
		return &text
	}
	why := err.Error()
	return &why
}

func millis(n int32) time.Duration { return time.Duration(max(n, 0)) * time.Millisecond }
