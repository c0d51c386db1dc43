package controller

import (
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/ktrial/ktrial/broker/kafka"
)

func refuse(kind *kerr.Error, format string, args ...any) error {
	return kafka.Refuse(kind, format, args...)
}

func millis(n int32) time.Duration { return time.Duration(max(n, 0)) * time.Millisecond }
