package replica

import (
	"github.com/ktrial/ktrial/broker/config"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/log"
	"github.com/ktrial/ktrial/broker/metadata"
	"github.com/ktrial/ktrial/broker/witness"
)

// startCleaners starts what is missing of the log cleaner's tasks: as many as
// log.cleaner.threads. A broker without a compacted log has none.
func (m *Manager) startCleaners() {
	if !m.cfg.Cleaner.Enable || m.closing {
		return
	}
	for threads := int(m.cleanerConfig().Threads); m.cleaners < threads; m.cleaners++ {
		number := m.cleaners
		m.host.Go("log cleaner", func() { m.runCleaner(number) })
	}
}

// runCleaner compacts one log after the other, and rests for log.cleaner.backoff.ms
// when none needs it. Followers compact as leaders do, each by itself.
func (m *Manager) runCleaner(number int) {
	c := m.dir.NewCleaner(m.cleanerConfig())
	for !m.closing {
		cfg := m.cleanerConfig()
		if number >= int(cfg.Threads) {
			m.cleaners = min(m.cleaners, number)
			return
		}
		c.SetConfig(cfg)
		cleaned, err := c.CleanFilthiest(m.compacted())
		m.mustSave(err)
		m.retainCompacted()
		if !cleaned {
			m.stop.Wait(cfg.Backoff)
		}
	}
}

// compacted are the logs that a cleaner may choose from.
func (m *Manager) compacted() (logs []log.Compacted) {
	for _, p := range m.sorted {
		if p.cfg.CleanupPolicy.Compact && !p.stopped {
			logs = append(logs, log.Compacted{Log: p.log, HW: func() kafka.Offset { return p.hw }})
		}
	}
	return logs
}

// retainCompacted deletes the old segments of compacted logs, if their policy says
// so, and in any case those below the log start offset.
func (m *Manager) retainCompacted() {
	for _, p := range m.Partitions() {
		if p.cfg.CleanupPolicy.Compact && !p.log.BeingCleaned() && !m.closing {
			m.mustWork(p, p.applyRetention())
		}
	}
}

// cleanerConfig is what is set on this broker, else on all, else in its own file.
func (m *Manager) cleanerConfig() log.CleanerConfig {
	cfg := m.cfg.Cleaner
	if m.im == nil {
		return cfg
	}
	for _, r := range []metadata.Resource{{Type: metadata.BrokerResource}, metadata.BrokerConfig(m.cfg.NodeID)} {
		for _, e := range m.im.Config(r) {
			if e.Name == "log.cleaner.enable" || !config.Has(&cfg, e.Name) {
				continue // another part's, or not to be changed while the broker runs
			}
			if err := config.Put(&cfg, e.Name, e.Value); err != nil {
				m.host.Tell(&witness.ConfigIgnored{Error: witness.ErrorOf(err)})
			}
		}
	}
	return cfg
}
