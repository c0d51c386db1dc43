package bench

import (
	"fmt"
	"slices"
	"time"

	"github.com/ktrial/ktrial/broker/cost"
	"github.com/ktrial/ktrial/broker/record"
	"github.com/ktrial/ktrial/lab/codecs"
	"github.com/ktrial/ktrial/lab/profile"
	"github.com/ktrial/ktrial/sim"
	"github.com/ktrial/ktrial/sim/disk"
	"github.com/ktrial/ktrial/sim/env"
	"github.com/ktrial/ktrial/sim/machine"
	"github.com/ktrial/ktrial/sim/network"
)

// figures reads a profile: a figure that it lacks costs nothing.
type figures struct{ p *profile.Profile }

func (f figures) value(name string) float64 {
	v, _ := f.p.Get(name)
	return v.Value
}

func (f figures) micros(name string) time.Duration {
	return time.Duration(f.value(name) * float64(time.Microsecond))
}

// prices are what each kind of work takes, in picoseconds.
var prices = []struct {
	kind   env.Kind
	figure string
}{
	{cost.NetworkRequest, profile.NetworkRequest}, {cost.NetworkByte, profile.NetworkByte}, {cost.IORequest, profile.IORequest},
	{cost.ProduceBatch, profile.ProduceBatch}, {cost.ProduceByte, profile.ProduceByte},
	{cost.FetchPartition, profile.FetchPartition}, {cost.FetchByte, profile.FetchByte},
	{cost.FollowRequest, profile.FollowRequest}, {cost.FollowPartition, profile.FollowPart}, {cost.FollowBatch, profile.FollowBatch}, {cost.FollowByte, profile.FollowByte},
	{cost.ProducerRecord, profile.ProducerRecord}, {cost.ProducerByte, profile.ProducerByte}, {cost.ProducerBatch, profile.ProducerBatch},
	{cost.ProducerRequest, profile.ProducerRequest}, {cost.SenderByte, profile.SenderByte},
	{cost.ConsumerRecord, profile.ConsumerRecord}, {cost.ConsumerByte, profile.ConsumerByte}, {cost.ConsumerRequest, profile.ConsumerRequest},
}

func (f figures) prices(c *configuration, payload Payload) (out machine.Prices) {
	for _, p := range prices {
		out[p.kind] = f.price(p.figure)
	}
	for _, codec := range []record.Codec{record.Gzip, record.Snappy, record.LZ4, record.Zstd} {
		compress, decompress := float64(f.price(fmt.Sprintf(profile.CompressByte, codec))), float64(f.price(fmt.Sprintf(profile.DecompressByte, codec)))
		sent := codecs.Relative(codec, c.producer.Level(codec), string(payload))
		kept := codecs.Relative(codec, c.log.Level(codec), string(payload))
		out[cost.Compress(codec)] = int64(compress*sent.Compress + 0.5)
		out[cost.Decompress(codec)] = int64(decompress*sent.Decompress + 0.5)
		out[cost.BrokerCompress(codec)] = int64(compress*kept.Compress + 0.5)
		out[cost.BrokerDecompress(codec)] = int64(decompress*sent.Decompress + 0.5)
	}
	return out
}

// price is a figure in picoseconds.
func (f figures) price(figure string) int64 {
	perUnit := map[profile.Unit]float64{profile.Microseconds: 1e6, profile.Nanoseconds: 1e3}[profile.Find(figure).Unit]
	return int64(f.value(figure)*perUnit + 0.5)
}

func (f figures) pauses(name string) (out []machine.Pause) {
	p, _ := f.p.Get(name)
	for _, r := range p.Rates {
		if r.PerSecond > 0 {
			out = append(out, machine.Pause{
				Least: time.Duration(r.From * float64(time.Millisecond)), Most: time.Duration(r.To * float64(time.Millisecond)),
				Every: time.Duration(float64(time.Second) / r.PerSecond),
			})
		}
	}
	return out
}

func (f figures) fsync() (out disk.Distribution) {
	p, ok := f.p.Get(profile.DiskFsync)
	switch {
	case !ok:
		return nil
	case len(p.Quantiles) == 0:
		return disk.Distribution{{Millionths: 1_000_000, At: f.micros(profile.DiskFsync)}}
	}
	for _, q := range p.Quantiles {
		out = append(out, disk.Quantile{Millionths: int64(q.Q*1e6 + 0.5), At: time.Duration(q.Value * float64(time.Microsecond))})
	}
	return out
}

func (f figures) network() network.Config {
	cfg := network.LAN()
	cfg.Default = network.Profile{Latency: f.micros(profile.NetworkLatency), Jitter: f.micros(profile.NetworkJitter)}
	cfg.Loopback = cfg.Default
	cfg.Window = 1 << 20
	cfg.Wakeup = f.micros(profile.ThreadWakeup)
	return cfg
}

// disk is what the hardware does not say of disks.
func (f figures) disk() disk.Config {
	return disk.Config{WriteBack: 30 * time.Second, Packing: new(disk.Packing)}
}

func (f figures) files() disk.Costs {
	disks := max(1, int(f.value(profile.DiskCount)))
	write := int64(f.value(profile.DiskWrite))
	return disk.Costs{
		Disks: disks, Sync: f.fsync(), Write: write, Read: int64(f.value(profile.DiskRead)), Seek: f.micros(profile.DiskSeek),
		Cache: &disk.Cache{
			Size: int64(f.value(profile.BrokerMemory)), Rate: write * int64(disks),
			Background: int64(f.value(profile.DirtyBack)), Limit: int64(f.value(profile.DirtyLimit)),
		},
	}
}

// hardware is the machine of each host. Controllers and the admin have machines of their
// own, on which work is free: they are not what is measured.
func (f figures) hardware(l *layout, prices machine.Prices) func(host string) *sim.Hardware {
	goodput := f.value(profile.NetworkShare)
	if goodput == 0 {
		goodput = 1
	}
	base := machine.Config{Prices: prices, Handoff: f.micros(profile.ThreadHandoff)}
	shared := f.value(profile.SharedHost) > 0
	return func(host string) *sim.Hardware {
		broker := slices.Contains(l.brokers, host)
		client := slices.Contains(l.producers, host) || slices.Contains(l.consumers, host)
		if !broker && !client {
			return nil
		}
		cfg := base
		cfg.Name = l.machines[host]
		nic := f.value(profile.ClientNIC)
		cfg.Cores = max(1, int(f.value(profile.ClientCores)))
		stops := machine.Stops{Pauses: f.pauses(profile.ClientPauses)}
		if broker || shared {
			cfg.Cores, nic = max(1, int(f.value(profile.BrokerCores))), f.value(profile.BrokerNIC)
		}
		if broker {
			stops = machine.Stops{Pauses: f.pauses(profile.BrokerPauses), Collections: f.pauses(profile.BrokerCollections)}
		}
		return &sim.Hardware{Config: cfg, Stops: stops, In: int64(nic * goodput), Out: int64(nic * goodput), Files: f.files()}
	}
}

// layout says which hosts there are and on which machine each is.
type layout struct {
	brokers, producers, consumers []string
	machines                      map[string]string
}
