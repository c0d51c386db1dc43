package workloads

import (
	"errors"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/checkers/history"
)

// CountFailure counts an operation that failed, by its error, for the report.
func (s *Stage) CountFailure(f history.F, err error) {
	if err == nil {
		return
	}
	if s.failures[f.String()] == nil {
		s.failures[f.String()] = map[string]int64{}
	}
	s.failures[f.String()][nameOf(err)]++
}

// Failures counts the operations that failed, by operation and by error.
func (s *Stage) Failures() map[string]map[string]int64 { return s.failures }

// nameOf is Kafka's name of an error, or else what is at its bottom: above are
// partitions and addresses.
func nameOf(err error) string {
	var k *kerr.Error
	if errors.As(err, &k) {
		return kafka.NameOf(k)
	}
	for {
		below := errors.Unwrap(err)
		if below == nil {
			return err.Error()
		}
		err = below
	}
}
