// Package samples has scenarios for the tests of what plays them.
package samples

import (
	"time"

	"github.com/ktrial/ktrial/scenarios"
	"github.com/ktrial/ktrial/sim/env"
	"github.com/ktrial/ktrial/workloads"
)

// Short is the standard scenario with a few seconds of work.
func Short() scenarios.Scenario {
	s := scenarios.Standard
	w, err := workloads.Set(s.Workload, "duration", "4s")
	if err != nil {
		panic(err) // the standard workload has a duration
	}
	s.Workload = w
	return s
}

// Leaky is Short, of which no two runs of one program are the same: its second producer
// sleeps a nanosecond longer in every other run.
func Leaky() scenarios.Scenario {
	s := Short()
	s.Workload = leaky{s.Workload, new(int)}
	return s
}

type leaky struct {
	workloads.Workload
	runs *int // it outlives the world
}

func (l leaky) Clients(s *workloads.Stage) []workloads.Client {
	*l.runs++
	extra := time.Duration(*l.runs % 2)
	clients := l.Workload.Clients(s)
	honest := clients[1].Main
	clients[1].Main = func(h env.Host) {
		h.Sleep(time.Millisecond + extra)
		honest(h)
	}
	return clients
}
