package controller

import (
	"encoding/binary"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/metadata"
	"github.com/ktrial/ktrial/ledger"
)

// BrokerRegistration (key 62, v0-4) brings a broker process into the cluster,
// fenced. Its epoch is the offset of the record that says so.
//
// Behavior:
//   - A broker id is taken while its holder's session is valid, also that of a
//     holder which is fenced or has shut down: the next process tries again
//     until the session is over.
//   - The same incarnation may register again and keeps its epoch: it amends.
//   - A new incarnation that does not know the epoch of the one before had no
//     clean shutdown: it leaves every ISR and ELR (KIP-966).
//   - A broker must support every finalized feature level.
//
// Missing: migration from ZooKeeper; assignment of replicas to directories
// (KIP-858): each broker has one log directory.
func (c *Controller) BrokerRegistration(req *kmsg.BrokerRegistrationRequest) *kmsg.BrokerRegistrationResponse {
	resp := req.ResponseKind().(*kmsg.BrokerRegistrationResponse)
	resp.BrokerEpoch = kafka.NoEpoch
	epoch := kafka.BrokerEpoch(kafka.NoEpoch)
	var probe *ledger.Probe
	err := c.write(commitTimeout, func(b *brain) (out records, err error) {
		probe = restartProbe(b.image.Broker(kafka.NodeID(req.BrokerID)), req)
		out, epoch, err = b.registerBroker(req)
		return out, err
	})
	if err != nil {
		c.tellRefusal("registration of broker %d", req.BrokerID, err)
		resp.ErrorCode = kafka.Code(err)
		return resp
	}
	if probe != nil {
		c.host.Reached(probe)
	}
	resp.BrokerEpoch = int64(epoch)
	return resp
}

// restartProbe says how the broker's previous process ended.
func restartProbe(before *metadata.Broker, req *kmsg.BrokerRegistrationRequest) *ledger.Probe {
	switch {
	case before == nil || before.IncarnationID == req.IncarnationID:
		return nil
	case int64(before.Epoch) == req.PreviousBrokerEpoch:
		return ProbeCleanRestart
	}
	return ProbeUncleanRestart
}

func (b *brain) registerBroker(req *kmsg.BrokerRegistrationRequest) (records, kafka.BrokerEpoch, error) {
	id := kafka.NodeID(req.BrokerID)
	existing := b.image.Broker(id)
	if err := b.checkRegistration(req, existing); err != nil {
		return nil, kafka.NoEpoch, err
	}
	r := &metadata.RegisterBrokerRecord{
		BrokerID:      id,
		IncarnationID: req.IncarnationID,
		BrokerEpoch:   kafka.BrokerEpoch(b.next),
		EndPoints:     endpoints(req.Listeners),
		Features:      featureRanges(req.Features),
		Rack:          req.Rack,
		Fenced:        true,
		LogDirs:       uuids(req.LogDirs),
	}
	if existing != nil && existing.IncarnationID == r.IncarnationID {
		r.BrokerEpoch = existing.Epoch
		r.Fenced, r.InControlledShutdown = existing.Fenced, existing.InControlledShutdown
		return records{r}, r.BrokerEpoch, nil
	}
	m := noMove
	if existing != nil && int64(existing.Epoch) == req.PreviousBrokerEpoch {
		m.leaves = id
	} else {
		m.unclean = id
	}
	return b.changesFor(m, records{r}), r.BrokerEpoch, nil
}

func (b *brain) checkRegistration(req *kmsg.BrokerRegistrationRequest, existing *metadata.Broker) error {
	if req.ClusterID != b.cfg.ClusterID {
		return refuse(kerr.InconsistentClusterID, "cluster id %q found, %q expected", req.ClusterID, b.cfg.ClusterID)
	}
	if existing != nil && existing.IncarnationID != req.IncarnationID && b.sessions.valid(existing.ID, b.now) {
		if existing.Fenced && !existing.InControlledShutdown {
			b.reached(ProbeFencedKeepsID)
		}
		return refuse(kerr.DuplicateBrokerRegistration, "another process is registered with the id, and its session is valid")
	}
	if req.IsMigratingZkBroker {
		return refuse(kerr.BrokerIDNotRegistered, "brokers of ZooKeeper are unknown here")
	}
	if req.Version >= 2 {
		if err := b.checkLogDirs(req); err != nil {
			return err
		}
	}
	return b.checkFeatures(req)
}

func (b *brain) checkLogDirs(req *kmsg.BrokerRegistrationRequest) error {
	if len(req.LogDirs) == 0 {
		return refuse(kerr.InvalidRegistration, "no log directory is named")
	}
	for i, dir := range req.LogDirs {
		if reservedDir(dir) {
			return refuse(kerr.InvalidRegistration, "log directory %v is reserved", kafka.UUID(dir))
		}
		if slices.Contains(req.LogDirs[:i], dir) {
			return refuse(kerr.InvalidRegistration, "log directory %v is named twice", kafka.UUID(dir))
		}
		for _, other := range b.image.Brokers() {
			if int32(other.ID) != req.BrokerID && slices.Contains(other.LogDirs, dir) {
				return refuse(kerr.InvalidRegistration, "log directory %v belongs to broker %d", kafka.UUID(dir), other.ID)
			}
		}
	}
	return nil
}

// reservedDir reports whether a directory id is one of the 100 that mean
// something else, such as "unassigned" (KIP-858).
func reservedDir(id kafka.UUID) bool {
	return binary.BigEndian.Uint64(id[:8]) == 0 && binary.BigEndian.Uint64(id[8:]) < 100
}

// checkFeatures: a broker that does not name a feature supports only level 0.
func (b *brain) checkFeatures(req *kmsg.BrokerRegistrationRequest) error {
	for _, final := range b.image.Features() {
		var low, high int16
		for _, f := range req.Features {
			if f.Name == final.Name {
				low, high = f.MinSupportedVersion, f.MaxSupportedVersion
			}
		}
		if final.Level < low || final.Level > high {
			return refuse(kerr.UnsupportedVersion, "%s is final at level %d, the broker supports %d to %d", final.Name, final.Level, low, high)
		}
	}
	return nil
}

func endpoints(listeners []kmsg.BrokerRegistrationRequestListener) []metadata.Endpoint {
	var out []metadata.Endpoint
	for _, l := range listeners {
		out = append(out, metadata.Endpoint{Name: l.Name, Host: l.Host, Port: l.Port, SecurityProtocol: l.SecurityProtocol})
	}
	return out
}

func featureRanges(features []kmsg.BrokerRegistrationRequestFeature) []metadata.FeatureRange {
	var out []metadata.FeatureRange
	for _, f := range features {
		out = append(out, metadata.FeatureRange{Name: f.Name, Min: f.MinSupportedVersion, Max: f.MaxSupportedVersion})
	}
	return out
}

func uuids(ids [][16]byte) []kafka.UUID {
	var out []kafka.UUID
	for _, id := range ids {
		out = append(out, id)
	}
	return out
}
