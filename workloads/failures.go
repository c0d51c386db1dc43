package workloads

import (
	"errors"

	"github.com/twmb/franz-go/pkg/kerr"

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
		return k.Message
	}
	for {
		below := errors.Unwrap(err)
		if below == nil {
			return err.Error()
		}
		err = below
	}
}

// GiveUp notes that the client on a host cannot go on, for the reason of err: a
// matter of its configuration. Its main should return then; the run proves less.
func (s *Stage) GiveUp(host string, err error) {
	if s.gaveUp[host] == nil {
		s.gaveUp[host] = err
	}
}

// GaveUp is why the client on a host gave up; nil: it did not.
func (s *Stage) GaveUp(host string) error { return s.gaveUp[host] }
