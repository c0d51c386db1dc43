package controller

import (
	"slices"
	"strconv"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/metadata"
)

// metadataVersion is Kafka 4.1's (4.1-IV1).
const metadataVersion = 27

// SupportedFeatures is what this stack supports (KIP-584), by name. A broker
// says so when it registers, and whoever asks for ApiVersions is told.
func SupportedFeatures() []metadata.FeatureRange {
	return []metadata.FeatureRange{
		{Name: featureELR, Min: 0, Max: 1},
		{Name: featureGroupVersion, Min: 0, Max: 1},
		{Name: featureMetadataVersion, Min: 7, Max: metadataVersion},
		{Name: featureTxnVersion, Min: 0, Max: 2},
	}
}

// bootstrap is what a new cluster's log begins with.
func (b *brain) bootstrap() records {
	if b.image.Feature(featureMetadataVersion) > 0 {
		return nil
	}
	out := records{&metadata.FeatureLevelRecord{Name: featureMetadataVersion, Level: metadataVersion}}
	for _, f := range []struct {
		name  string
		level int16
	}{
		{featureELR, b.cfg.Settings.EligibleLeaderReplicas},
		{featureGroupVersion, b.cfg.Settings.GroupVersion},
		{featureTxnVersion, b.cfg.Settings.TransactionVersion},
	} {
		if f.level > 0 {
			out = append(out, &metadata.FeatureLevelRecord{Name: f.name, Level: f.level})
		}
	}
	if b.cfg.Settings.EligibleLeaderReplicas > 0 {
		out = append(out, b.fixMinISR()...)
	}
	return out
}

// fixMinISR writes the controller's own min.insync.replicas down for all: the
// ELR counts on one number, which must not depend on who is asked (KIP-966).
func (b *brain) fixMinISR() records {
	if _, ok := b.image.ConfigValue(allBrokers, configMinISR); ok {
		return nil
	}
	own := strconv.Itoa(int(b.cfg.Settings.MinInsyncReplicas))
	return records{&metadata.ConfigRecord{ResourceType: metadata.BrokerResource, Name: configMinISR, Value: &own}}
}

// UpdateFeatures (key 57, v0-2) changes the finalized level of features, all
// or none.
//
// Missing: what a change of metadata.version means for the records written;
// they are always those of the newest.
func (c *Controller) UpdateFeatures(req *kmsg.UpdateFeaturesRequest) *kmsg.UpdateFeaturesResponse {
	resp := req.ResponseKind().(*kmsg.UpdateFeaturesResponse)
	err := c.write(millis(req.TimeoutMillis), func(b *brain) (records, error) { return b.updateFeatures(req) })
	resp.ErrorCode, resp.ErrorMessage = kafka.Code(err), message(err)
	if req.Version <= 1 && err == nil {
		for _, u := range req.FeatureUpdates {
			r := kmsg.NewUpdateFeaturesResponseResult()
			r.Feature = u.Feature
			resp.Results = append(resp.Results, r)
		}
	}
	return resp
}

func (b *brain) updateFeatures(req *kmsg.UpdateFeaturesRequest) (records, error) {
	var out records
	for _, u := range req.FeatureUpdates {
		if err := b.checkFeature(u); err != nil {
			return nil, err
		}
		if b.image.Feature(u.Feature) == u.MaxVersionLevel {
			continue
		}
		out = append(out, &metadata.FeatureLevelRecord{Name: u.Feature, Level: u.MaxVersionLevel})
		if u.Feature == featureELR {
			out = append(out, b.switchELR(u.MaxVersionLevel > 0)...)
		}
	}
	if req.ValidateOnly {
		return nil, nil
	}
	return out, nil
}

func (b *brain) checkFeature(u kmsg.UpdateFeaturesRequestFeatureUpdate) error {
	supported := SupportedFeatures()
	i := slices.IndexFunc(supported, func(f metadata.FeatureRange) bool { return f.Name == u.Feature })
	if i < 0 {
		return refuse(kerr.FeatureUpdateFailed, "feature %q is unknown", u.Feature)
	}
	if f := supported[i]; u.MaxVersionLevel < f.Min || u.MaxVersionLevel > f.Max {
		return refuse(kerr.FeatureUpdateFailed, "feature %s: level %d found, %d to %d supported", f.Name, u.MaxVersionLevel, f.Min, f.Max)
	}
	for _, broker := range b.image.Brokers() {
		i := slices.IndexFunc(broker.Features, func(f metadata.FeatureRange) bool { return f.Name == u.Feature })
		if u.MaxVersionLevel > 0 && (i < 0 || u.MaxVersionLevel < broker.Features[i].Min || u.MaxVersionLevel > broker.Features[i].Max) {
			return refuse(kerr.FeatureUpdateFailed, "feature %s: broker %d does not support level %d", u.Feature, broker.ID, u.MaxVersionLevel)
		}
	}
	down := u.MaxVersionLevel < b.image.Feature(u.Feature)
	if down && !u.AllowDowngrade && u.UpgradeType < 2 {
		return refuse(kerr.FeatureUpdateFailed, "feature %s: a downgrade from level %d to %d must be allowed", u.Feature, b.image.Feature(u.Feature), u.MaxVersionLevel)
	}
	return nil
}

// switchELR is what else changes with the generation. Without ELR nobody minds
// those that there are: they go.
func (b *brain) switchELR(on bool) records {
	if on {
		return b.fixMinISR()
	}
	var out records
	b.partitions(func(p *metadata.Partition) {
		if len(p.ELR) > 0 || len(p.LastKnownELR) > 0 {
			c := b.change(p)
			c.elrOn = false
			out = c.add(out)
		}
	})
	return out
}
