// Package baseline holds what a simulation of Kafka must beat: the formulas that
// sizing guides use, and the figure that was published for the most similar setup.
// A model that is no better than these need not be run.
//
// Formulas know ceilings (network, disk, buffer, window) and waits without
// contention. They know nothing of queues behind each other, of pauses, of page
// caches, of the slowest replica of an ISR.
package baseline

import (
	"math"
	"slices"
	"time"
)

// Setup is what formulas are given of a cluster and of its load. What is zero is
// not known, and the formula that needs it is left out.
type Setup struct {
	Brokers, Partitions, ReplicationFactor int
	Producers, ConsumerGroups              int

	Acks            string // "0", "1", "all"
	RecordBytes     int    // of a record with its overhead
	BatchBytes      int    // batch.size
	Linger          time.Duration
	InFlight        int   // max.in.flight.requests.per.connection
	BufferBytes     int64 // buffer.memory of each producer
	MaxRequestBytes int   // max.request.size
	// FsyncEach says that each append is synced (flush.messages=1).
	FsyncEach bool

	// Offered is how many records a second all producers together are given; 0: as
	// many as go.
	Offered float64

	Hardware Hardware
}

// Hardware is what one broker has, and the waits that were measured on it.
type Hardware struct {
	NIC     float64 // bytes a second in each direction, on the wire
	Storage float64 // bytes a second between a broker and its storage, if that is a network
	Disk    float64 // bytes a second that the disks of a broker write
	Disks   int     // of a broker; 0 counts as 1

	// RoundTrip is that of a produce request with acks=1 and one record.
	RoundTrip time.Duration
	// ReplicationWait is what acks=all adds to it.
	ReplicationWait time.Duration
	// Fsync is the mean time of one, without waiting for others.
	Fsync time.Duration
	// ProducerRecord is a producer's CPU time for a record, and ProducerByte for each of
	// its bytes, in nanoseconds: it is less than one.
	ProducerRecord time.Duration
	ProducerByte   float64
}

// payload is the part of what a network carries that is payload: 1448 of the 1538
// bytes that a full Ethernet frame of TCP takes, with preamble and gap.
const payload = 1448.0 / 1538

// Bound is a ceiling of throughput.
type Bound struct {
	Name           string  // what binds
	BytesPerSecond float64 // that producers can send, all together
}

// least is the bound that binds; ok is false without any.
func least(bounds []Bound) (b Bound, ok bool) {
	if len(bounds) == 0 {
		return Bound{}, false
	}
	return slices.MinFunc(bounds, func(a, b Bound) int {
		switch {
		case a.BytesPerSecond < b.BytesPerSecond:
			return -1
		case a.BytesPerSecond > b.BytesPerSecond:
			return 1
		}
		return 0
	}), true
}

// SizingGuide is the bound by which AWS sizes clusters ("Best practices for
// right-sizing your Apache Kafka clusters", 2022): the least of disk x brokers / rf,
// storage network x brokers / rf, and NIC x brokers / (consumer groups + rf - 1).
// It counts what leaves a broker and not what comes in, which binds without
// consumers.
func SizingGuide(s Setup) (b Bound, ok bool) {
	return least(s.guideBounds())
}

func (s Setup) guideBounds() (bounds []Bound) {
	brokers, rf := float64(s.Brokers), float64(s.ReplicationFactor)
	add := func(name string, each, copies float64) {
		if each > 0 && copies > 0 {
			bounds = append(bounds, Bound{name, each * brokers / copies})
		}
	}
	add("disk", s.Hardware.Disk, rf)
	add("storage network", s.Hardware.Storage, rf)
	add("network out", s.Hardware.NIC, float64(s.ConsumerGroups)+rf-1)
	return bounds
}

// Bounds are all ceilings that formulas know: those of the sizing guide, with the
// network's payload, what comes into the brokers, the window of requests in
// flight, and the producers' CPU.
func (s Setup) Bounds() (bounds []Bound) {
	usable := s
	usable.Hardware.NIC *= payload
	bounds = usable.guideBounds()
	add := func(name string, bound float64) {
		if bound > 0 && !math.IsInf(bound, 0) && !math.IsNaN(bound) {
			bounds = append(bounds, Bound{name, bound})
		}
	}
	add("network in", usable.Hardware.NIC*float64(s.Brokers)/float64(s.ReplicationFactor))
	add("window in flight", s.window())
	add("producer CPU", s.producerCPU())
	return bounds
}

// window is how much requests in flight carry: each has at most one batch for each
// partition that its broker leads, and max.request.size bytes.
func (s Setup) window() float64 {
	wait := s.answer()
	if s.InFlight == 0 || wait == 0 || s.Brokers == 0 {
		return 0
	}
	leads := max(1, s.Partitions/s.Brokers)
	request := float64(leads * s.BatchBytes)
	if s.MaxRequestBytes > 0 {
		request = min(request, float64(s.MaxRequestBytes))
	}
	connections := float64(s.Producers * min(s.Brokers, s.Partitions))
	return connections * float64(s.InFlight) * request / wait.Seconds()
}

func (s Setup) producerCPU() float64 {
	h := s.Hardware
	record := h.ProducerRecord.Seconds() + float64(s.RecordBytes)*h.ProducerByte*1e-9
	if record == 0 {
		return 0
	}
	return float64(s.Producers) * float64(s.RecordBytes) / record
}

// answer is how long a request takes that waits for no other.
func (s Setup) answer() time.Duration {
	wait := s.Hardware.RoundTrip
	if s.Acks == "all" || s.Acks == "-1" {
		wait += s.Hardware.ReplicationWait
	}
	return wait
}

// Forecast is what formulas say of a setup. A duration of 0 is one that they do not
// know.
type Forecast struct {
	RecordsPerSecond float64
	Saturated        bool   // more is offered than goes
	Binding          string // which bound is the least
	Mean, P50, P99   time.Duration
}

// Predict applies the formulas. Below saturation a record waits for its batch, for
// the answer, and for the disk's queue if each append is synced; at saturation it
// waits for the buffer before it, and only the mean is known.
func Predict(s Setup) Forecast {
	f := Forecast{RecordsPerSecond: s.Offered, Saturated: s.Offered == 0}
	if b, ok := least(s.Bounds()); ok {
		f.Binding = b.Name
		if most := b.BytesPerSecond / float64(s.RecordBytes); f.Saturated || s.Offered >= most {
			f.RecordsPerSecond, f.Saturated = most, true
		}
	}
	if f.Saturated {
		f.Mean = BufferWait(s.BufferBytes*int64(s.Producers), f.RecordsPerSecond*float64(s.RecordBytes))
		return f
	}
	batch := s.batch()
	f.Mean, f.P50, f.P99 = s.answer()+batch.Wait, s.answer()+batch.Open/2, s.answer()+batch.Open
	if s.FsyncEach {
		disks := float64(s.Brokers * max(1, s.Hardware.Disks))
		q := Queue{Service: s.Hardware.Fsync, PerSecond: s.Offered / batch.Records * float64(s.ReplicationFactor) / disks}
		if q.Utilisation() >= 1 {
			return Forecast{RecordsPerSecond: s.Offered / q.Utilisation(), Saturated: true, Binding: "fsync"}
		}
		f.Mean, f.P50, f.P99 = f.Mean+q.Mean(), f.P50+q.Quantile(0.5), f.P99+q.Quantile(0.99)
	}
	return f
}

// Batch is what a batch is expected to be.
type Batch struct {
	Records float64
	Open    time.Duration // from its first record until it is sent
	Wait    time.Duration // of its records, on average
}

// LingerBatch is the batch of records that come by chance (Poisson), perSecond of
// them for each open batch: it is opened by a record and closed after linger, so it
// has 1 + lT records, which wait T(1 + lT/2)/(1 + lT) on average.
func LingerBatch(perSecond float64, linger time.Duration) Batch {
	more := perSecond * linger.Seconds()
	return Batch{Records: 1 + more, Open: linger, Wait: time.Duration(float64(linger) * (1 + more/2) / (1 + more))}
}

// batch is the one of a setup, closed by linger or because it is full. The sticky
// partitioner (KIP-480) has one open at a time in each producer.
func (s Setup) batch() Batch {
	perSecond := s.Offered / float64(max(1, s.Producers))
	b := LingerBatch(perSecond, s.Linger)
	full := math.Max(1, math.Floor(float64(s.BatchBytes)/float64(s.RecordBytes)))
	if b.Records <= full {
		return b
	}
	open := time.Duration((full - 1) / perSecond * float64(time.Second))
	return Batch{Records: full, Open: open, Wait: open / 2}
}

// BufferWait is the mean latency of a producer at full speed: what stands in its
// buffer before a record must leave first (Little's law). Benchmarks at full speed
// measure the client's buffer. It is 0 where nothing leaves.
func BufferWait(buffer int64, bytesPerSecond float64) time.Duration {
	if bytesPerSecond <= 0 {
		return 0
	}
	return time.Duration(float64(buffer) / bytesPerSecond * float64(time.Second))
}

// Queue is one server with random arrivals and service times (M/M/1): the formula
// for syncs of one disk.
type Queue struct {
	Service   time.Duration // the mean
	PerSecond float64       // arrivals
}

// Utilisation is the part of the time that the server is busy; from 1 on the queue
// grows without end.
func (q Queue) Utilisation() float64 { return q.PerSecond * q.Service.Seconds() }

// Mean is how long one takes, waiting included; 0 where the queue has no end.
func (q Queue) Mean() time.Duration {
	if q.Utilisation() >= 1 {
		return 0
	}
	return time.Duration(float64(q.Service) / (1 - q.Utilisation()))
}

// Quantile is what a part of them does not exceed: times are exponential.
func (q Queue) Quantile(part float64) time.Duration {
	return time.Duration(float64(q.Mean()) * -math.Log1p(-part))
}
