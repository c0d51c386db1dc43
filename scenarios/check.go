package scenarios

import (
	"errors"
	"fmt"
)

// Check says what is missing in a scenario: the mistakes of its author that can
// be seen without a run. Names of hosts and topics, and settings, are checked
// when a run is made.
func (s *Scenario) Check() error {
	var wrong []error
	say := func(format string, args ...any) { wrong = append(wrong, fmt.Errorf(format, args...)) }
	if s.Name == "" {
		say("found no Name, expected one such as leader-loses-power")
	}
	switch c := s.Cluster; {
	case c.Combined > 0 && (c.Brokers > 0 || c.Controllers > 0):
		say("Cluster: found %d combined nodes and %d brokers, %d controllers; expected one or the other", c.Combined, c.Brokers, c.Controllers)
	case c.Combined == 0 && (c.Brokers < 1 || c.Controllers < 1):
		say("Cluster: found %d brokers and %d controllers, expected at least one of each, or Combined nodes", c.Brokers, c.Controllers)
	}
	brokers := s.Cluster.Brokers + s.Cluster.Combined
	names := map[string]bool{}
	for _, t := range s.Topics {
		switch {
		case t.Name == "":
			say("Topics: found one without a Name")
		case names[t.Name]:
			say("Topics: found %s twice", t.Name)
		case t.Partitions < 1:
			say("Topics: %s: found %d Partitions, expected at least 1", t.Name, t.Partitions)
		case t.Replicas < 1 || int(t.Replicas) > brokers:
			say("Topics: %s: found %d Replicas, expected between 1 and the %d brokers that there are", t.Name, t.Replicas, brokers)
		}
		names[t.Name] = true
	}
	if s.Workload == nil {
		say("found no Workload, expected one such as scenarios.Idempotent")
	}
	if len(s.Checks)+len(s.OwnChecks)+len(s.Laws) == 0 {
		say("found no Checks and no Laws, expected at least one, such as scenarios.Promises")
	}
	for _, c := range s.OwnChecks {
		if c.Name == "" || c.Run == nil {
			say("OwnChecks: %q: expected a Name and a Run", c.Name)
		}
	}
	for _, l := range s.Laws {
		if l.Name == "" || l.Watch == nil {
			say("Laws: %q: expected a Name and a Watch", l.Name)
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	return fmt.Errorf("scenario %q: %w", s.Name, errors.Join(wrong...))
}
