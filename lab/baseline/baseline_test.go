package baseline

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/ktrial/ktrial/lab/published"
)

const (
	ms = time.Millisecond
	mb = 1e6
)

func figure(t *testing.T, id string) published.Row {
	r, ok := published.Named(id)
	require.True(t, ok, id)
	return r
}

func TestTheSizingGuideTakesTheLeast(t *testing.T) {
	s := Setup{Brokers: 3, ReplicationFactor: 3, ConsumerGroups: 2, Hardware: Hardware{NIC: 100 * mb, Disk: 90 * mb, Storage: 95 * mb}}
	b, ok := SizingGuide(s)
	require.True(t, ok)
	assert.Equal(t, Bound{"network out", 75 * mb}, b, "300 through two groups and two followers")
	s.ConsumerGroups = 0
	b, _ = SizingGuide(s)
	assert.Equal(t, Bound{"disk", 90 * mb}, b)
	_, ok = SizingGuide(Setup{Brokers: 3, ReplicationFactor: 3})
	assert.False(t, ok, "nothing is known of the hardware")
}

// Without consumers the guide lets followers have half of what comes in, rf 3; but
// each byte comes in three times.
func TestTheGuideLacksWhatComesIn(t *testing.T) {
	s := Setup{Brokers: 3, ReplicationFactor: 3, RecordBytes: 122, Hardware: Hardware{NIC: 125 * mb}}
	guide, _ := SizingGuide(s)
	assert.Equal(t, 187.5*mb, guide.BytesPerSecond)
	f := Predict(s)
	assert.Equal(t, "network in", f.Binding)
	assert.InDelta(t, 125*mb*payload/122, f.RecordsPerSecond, 1)
}

// LinkedIn's consumer read at what a network of 1 Gbit/s carries of payload.
func TestTheNetworkOfLI5(t *testing.T) {
	const record = 100 + 22
	row := figure(t, "LI5")
	assert.InEpsilon(t, row.Value, 125*mb*payload/record, 0.03)
}

// The mean latency of Confluent's saturated producers is their buffers over the
// throughput, 32 MiB each.
func TestTheBufferOfCFT(t *testing.T) {
	rate, mean := figure(t, "CFT-rate-async"), figure(t, "CFT-lat-async")
	wait := BufferWait(4*32<<20, rate.Value*1024)
	assert.InEpsilon(t, mean.Value, wait.Seconds()*1000, 0.02)
	assert.Zero(t, BufferWait(32<<20, 0))
}

func TestAtSaturationTheMeanIsThatOfTheBuffer(t *testing.T) {
	f := Predict(Setup{
		Brokers: 3, Partitions: 100, ReplicationFactor: 3, Producers: 4, RecordBytes: 1024, BatchBytes: 1 << 20, BufferBytes: 32 << 20,
		Acks: "all", Hardware: Hardware{Disk: 655 * mb}, Offered: 1_000_000,
	})
	assert.True(t, f.Saturated)
	assert.Equal(t, "disk", f.Binding)
	assert.InDelta(t, 655*mb/1024, f.RecordsPerSecond, 1)
	assert.InDelta(t, 4*32<<20/(655*mb), f.Mean.Seconds(), 1e-6)
	assert.Zero(t, f.P99, "no formula knows it")
}

func TestTheWindowBounds(t *testing.T) {
	s := Setup{
		Brokers: 1, Partitions: 2, ReplicationFactor: 1, Producers: 1, Acks: "all", RecordBytes: 100, BatchBytes: 10_000, InFlight: 5,
		Hardware: Hardware{RoundTrip: 6 * ms, ReplicationWait: 4 * ms},
	}
	f := Predict(s)
	assert.Equal(t, "window in flight", f.Binding)
	assert.InDelta(t, 5*2*10_000/0.010/100, f.RecordsPerSecond, 1)
	s.MaxRequestBytes = 15_000
	assert.InDelta(t, 5*15_000/0.010/100, Predict(s).RecordsPerSecond, 1)
	s.Acks = "1"
	assert.InDelta(t, 5*15_000/0.006/100, Predict(s).RecordsPerSecond, 1)
}

func TestTheProducersCPUBounds(t *testing.T) {
	s := Setup{Brokers: 3, ReplicationFactor: 1, Producers: 2, RecordBytes: 100, Hardware: Hardware{ProducerRecord: time.Microsecond, ProducerByte: 2.5}}
	f := Predict(s)
	assert.Equal(t, "producer CPU", f.Binding)
	assert.InDelta(t, 2/1.25e-6, f.RecordsPerSecond, 1)
}

func TestARecordWaitsForItsBatchAndTheAnswer(t *testing.T) {
	s := Setup{
		Brokers: 3, Partitions: 10, ReplicationFactor: 3, Producers: 2, Acks: "all", RecordBytes: 100, BatchBytes: 16_384, Linger: 10 * ms, Offered: 2000,
		Hardware: Hardware{RoundTrip: 2 * ms, ReplicationWait: 3 * ms},
	}
	// 1,000 a second for each batch: 11 records, the first waits 10 ms, the others 5.
	f := Predict(s)
	assert.False(t, f.Saturated)
	assert.Equal(t, 2000.0, f.RecordsPerSecond)
	assert.InDelta(t, (5*ms + 60*ms/11).Seconds(), f.Mean.Seconds(), 1e-6)
	assert.Equal(t, 10*ms, f.P50)
	assert.Equal(t, 15*ms, f.P99)
	// A batch of 5 records is full after 4 ms.
	s.BatchBytes = 500
	assert.Equal(t, 7*ms, Predict(s).Mean)
	assert.Equal(t, 9*ms, Predict(s).P99)
}

func TestALingeringBatch(t *testing.T) {
	b := LingerBatch(1000, 0)
	assert.Equal(t, Batch{Records: 1}, b)
	b = LingerBatch(0.001, 20*ms)
	assert.InDelta(t, 20, b.Wait.Seconds()*1000, 0.01, "alone, a record waits for all of it")
	b = LingerBatch(1e6, 20*ms)
	assert.InDelta(t, 10, b.Wait.Seconds()*1000, 0.01, "among many, for half of it")
}

func TestSyncsQueue(t *testing.T) {
	q := Queue{Service: 310 * time.Microsecond, PerSecond: 1961}
	assert.InDelta(t, 0.608, q.Utilisation(), 0.001)
	assert.InDelta(t, 0.791, q.Mean().Seconds()*1000, 0.001)
	assert.InDelta(t, 0.791*4.605, q.Quantile(0.99).Seconds()*1000, 0.01)
	assert.Zero(t, Queue{Service: ms, PerSecond: 1000}.Mean())
}

func TestSyncingEachAppendCostsItsQueue(t *testing.T) {
	s := Setup{
		Brokers: 3, Partitions: 9, ReplicationFactor: 3, Producers: 1, Acks: "1", RecordBytes: 100, BatchBytes: 16_384, Offered: 500,
		Hardware: Hardware{RoundTrip: ms, Fsync: ms, Disks: 1},
	}
	plain := Predict(s)
	s.FsyncEach = true
	assert.Equal(t, 2*ms, Predict(s).Mean-plain.Mean, "half busy: as long again in the queue")
	s.Offered = 2000
	f := Predict(s)
	assert.Equal(t, "fsync", f.Binding)
	assert.InDelta(t, 1000, f.RecordsPerSecond, 1)
}

func TestABoundThatDoesNotBindChangesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.Float64Range(mb, 1000*mb)
		s := Setup{Brokers: 3, ReplicationFactor: 3, ConsumerGroups: 1, Producers: 2, RecordBytes: 500, Hardware: Hardware{NIC: size.Draw(t, "nic"), Disk: size.Draw(t, "disk")}}
		before := Predict(s)
		if before.Binding == "disk" {
			s.Hardware.NIC *= 2
		} else {
			s.Hardware.Disk *= 2
		}
		assert.Equal(t, before, Predict(s))
	})
}

func TestTheNearestFigure(t *testing.T) {
	rows := published.Rows()
	like := figure(t, "CFLs-pub-avg")
	near, distance, ok := Nearest(rows, like)
	require.True(t, ok)
	assert.Equal(t, like.ID, near.ID, "its own")
	assert.Zero(t, distance)

	like.FsyncEach, like.RecordBytes = false, 512
	near, distance, _ = Nearest(rows, like)
	assert.Equal(t, "CFLa-pub-avg", near.ID)
	assert.Equal(t, 1.0, distance, "half the size")

	like.Acks = "1"
	near, _, _ = Nearest(rows, like)
	assert.Equal(t, "SN24-a1-avg", near.ID)

	like.Metric = "cpu"
	_, _, ok = Nearest(rows, like)
	assert.False(t, ok)
}
