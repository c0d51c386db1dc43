package scenarios

import (
	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/workloads"
)

// FoundAsTold: what a client finds is what it was told. It is asked wherever a client
// compares, of all that promises something: administrators (--set admins=1) and restless
// consumers (--set restless=1).
var FoundAsTold = Law{
	Name:  "clients find what they were told",
	About: "topics, their partitions, configurations, replicas and records, positions and committed offsets are what a client was told of them, or what it has asked for since without an answer",
	Watch: func() func(*ledger.Entry) (bool, string) {
		return func(e *ledger.Entry) (checked bool, broken string) {
			found, ok := e.Event.(*workloads.ClientFound)
			if !ok || found.Wrong == "" {
				return ok, ""
			}
			return true, e.Host + ": " + found.What + ": " + found.Wrong
		}
	},
}
