package scenarios

import (
	"github.com/ktrial/ktrial/checkers"
)

// Promise is something that the cluster owes its clients, and the anomalies
// that break it.
type Promise = checkers.Promise

// Promises are those about records and logs: what a configuration promises that
// is safe throughout. Where less is configured the same is asked, and what the
// configuration permits is named.
var Promises = checkers.LogPromises

// GroupPromises are those that a workload of a group asks for as well.
var GroupPromises = checkers.GroupPromises
