package sim

import (
	"github.com/ktrial/ktrial/sim/disk"
	"github.com/ktrial/ktrial/sim/machine"
	"github.com/ktrial/ktrial/sim/network"
)

// Hardware is what a machine is made from, in a world in which work takes time. Hosts
// whose hardware has the same name are on one machine.
type Hardware struct {
	machine.Config
	// Stops are those of each process of the host.
	machine.Stops
	// In and Out are what the network card carries each way, in bytes per second; 0: no
	// limit.
	In, Out int64
	// Files are what disks and page cache cost. Each host has disks of its own, unless
	// the machine has several hosts.
	Files disk.Costs
}

// Machine is a machine of the world: cores and threads, a network card, a page cache.
type Machine struct {
	*machine.Machine
	Card  *network.Card
	Disks *disk.Devices
}

// Machines are those of the world, in the order in which their first host was made.
func (w *World) Machines() []*Machine { return w.machines }

// machineFor is the machine of a host, and how its processes are stopped there.
func (w *World) machineFor(host string) (*Machine, machine.Stops) {
	if w.cfg.Hardware == nil {
		return nil, machine.Stops{}
	}
	hw := w.cfg.Hardware(host)
	if hw == nil {
		return nil, machine.Stops{}
	}
	for _, m := range w.machines {
		if m.Config().Name == hw.Name {
			return m, hw.Stops
		}
	}
	cfg := hw.Config
	m := &Machine{
		Machine: machine.New(w.k, &cfg), Card: &network.Card{In: network.Lane{Rate: hw.In}, Out: network.Lane{Rate: hw.Out}},
		Disks: disk.NewDevices(hw.Files),
	}
	w.machines = append(w.machines, m)
	return m, hw.Stops
}
