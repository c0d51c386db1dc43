package replica

import (
	"math"
	"time"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/witness"
)

// startUpkeep starts the broker's recurring tasks.
func (m *Manager) startUpkeep() {
	m.host.Go("isr changes", m.alter.run)
	m.every("isr lag check", m.cfg.LagTimeMax/2, m.checkLags)
	m.every("high watermark checkpoint", m.cfg.HWCheckpoint, m.checkpoint)
	m.every("recovery point checkpoint", m.cfg.FlushCheckpoint, m.checkpointRecovery)
	m.every("log retention", m.cfg.RetentionCheck, m.applyRetention)
	m.every("producer id expiration", m.cfg.ProducerExpiry, m.expireProducers)
}

// every runs f again and again, with a pause of d before each.
func (m *Manager) every(name string, d time.Duration, f func()) {
	if d <= 0 {
		return
	}
	m.host.Go(name, func() {
		for !m.closing {
			m.stop.Wait(d)
			if !m.closing {
				f()
			}
		}
	})
}

// checkLags looks for followers that have been behind for too long. A follower
// that was waited for without being in the ISR, and is not any more, may also
// free a high watermark.
func (m *Manager) checkLags() {
	for _, p := range m.Partitions() {
		p.maybeShrinkISR()
		p.advance()
	}
}

// checkpoint writes the high watermarks, if one has moved.
func (m *Manager) checkpoint() {
	moved := false
	for _, p := range m.sorted {
		moved = moved || p.checkpointed != p.hw
	}
	if moved {
		hws := make(map[kafka.TopicPartition]kafka.Offset, len(m.sorted))
		for _, p := range m.sorted {
			hws[p.tp], p.checkpointed = p.hw, p.hw
		}
		m.mustSave(m.dir.Checkpoint(hws))
	}
	for _, p := range m.Partitions() {
		if p.cfg.FlushInterval < math.MaxInt64 {
			m.mustSave(p.log.FlushIfDue())
		}
	}
}

func (m *Manager) checkpointRecovery() { m.mustSave(m.dir.CheckpointRecovery()) }

func (m *Manager) mustSave(err error) {
	if err != nil && !m.closing {
		m.host.Tell(&witness.LogDirFailed{})
		m.host.Exit(err)
	}
}

// applyRetention deletes old segments of logs that are not compacted. The cleaner
// does the others, so that no segment goes that it is about to replace. (Kafka too
// keeps all of them if there is no cleaner.)
func (m *Manager) applyRetention() {
	for _, p := range m.Partitions() {
		if !p.cfg.CleanupPolicy.Compact {
			m.mustWork(p, p.applyRetention())
		}
	}
}

func (p *Partition) applyRetention() error {
	p.gate.enter()
	defer p.gate.leave()
	if p.stopped {
		return nil
	}
	before := p.log.StartOffset()
	_, err := p.log.ApplyRetention(p.hw)
	if p.log.StartOffset() != before {
		p.tellStart()
	}
	return err
}

// expireProducers forgets idempotent producers that have long been silent.
func (m *Manager) expireProducers() {
	for _, p := range m.Partitions() {
		p.log.ExpireProducers()
	}
}
