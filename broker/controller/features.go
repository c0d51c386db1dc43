package controller

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/metadata"
)

// metadataVersion is Kafka 4.1's (4.1-IV1).
const metadataVersion = 27

// SupportedFeatures is what this stack supports (KIP-584), by name. A broker
// says so when it registers, and answers ApiVersions with it.
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
// ELR counts on one number, which must not depend on the controller that is
// asked (KIP-966).
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
	resp.ErrorCode, resp.ErrorMessage = kafka.Code(err), kafka.Message(err)
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
		if req.Version == 0 { // before upgrade types
			u.UpgradeType = upgrade
			if u.AllowDowngrade {
				u.UpgradeType = safeDowngrade
			}
		}
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

// The upgrade types of UpdateFeatures (KIP-778).
const (
	upgrade         = 1
	safeDowngrade   = 2
	unsafeDowngrade = 3
)

// checkFeature refuses a level in the order and the words of Kafka's
// FeatureControlManager.
func (b *brain) checkFeature(u kmsg.UpdateFeaturesRequestFeatureUpdate) error {
	level, now := u.MaxVersionLevel, b.image.Feature(u.Feature)
	if u.UpgradeType < upgrade || u.UpgradeType > unsafeDowngrade {
		return invalidUpdate(u, "The controller does not support the given upgrade type.")
	}
	if level < 0 {
		return invalidUpdate(u, "A feature version cannot be less than 0.")
	}
	if why := unsupported(fmt.Sprintf("Local controller %d", b.cfg.ID), SupportedFeatures(), u); why != "" {
		return invalidUpdate(u, why)
	}
	for _, broker := range b.image.Brokers() {
		if why := unsupported(fmt.Sprintf("Broker %d", broker.ID), broker.Features, u); why != "" {
			return invalidUpdate(u, why)
		}
	}
	if level < now && u.UpgradeType == upgrade {
		return invalidUpdate(u, "Can't downgrade the version of this feature without setting the upgrade type to either safe or unsafe downgrade.")
	}
	if u.Feature != featureMetadataVersion || level >= now {
		return nil
	}
	switch {
	case level >= lastMetadataChange:
		return nil
	case u.UpgradeType == unsafeDowngrade:
		return refusedDowngrade(now, level, "Unsafe metadata downgrade is not supported in this version.")
	}
	return refusedDowngrade(now, level, "Refusing to perform the requested downgrade because it might delete metadata information.")
}

// lastMetadataChange is the newest metadata.version, up to ours, that came with
// records or fields that an older one cannot hold: 4.0-IV1, with the ELR.
const lastMetadataChange = 23

// unsupported says why a node cannot do with a level, or "".
func unsupported(node string, ranges []metadata.FeatureRange, u kmsg.UpdateFeaturesRequestFeatureUpdate) string {
	i := slices.IndexFunc(ranges, func(f metadata.FeatureRange) bool { return f.Name == u.Feature })
	switch {
	case i < 0 && u.MaxVersionLevel == 0 && strings.HasPrefix(node, "Broker"):
		return "" // to be without it is all that is asked of the broker
	case i < 0:
		return node + " does not support this feature."
	case u.MaxVersionLevel < ranges[i].Min || u.MaxVersionLevel > ranges[i].Max:
		return fmt.Sprintf("%s only supports versions %d-%d", node, ranges[i].Min, ranges[i].Max)
	}
	return ""
}

const failedForAll = "The update failed for all features since the following feature had an error: "

func invalidUpdate(u kmsg.UpdateFeaturesRequestFeatureUpdate, why string) error {
	return refuse(kerr.InvalidUpdateVersion, failedForAll+"Invalid update version %d for feature %s. %s", u.MaxVersionLevel, u.Feature, why)
}

func refusedDowngrade(from, to int16, why string) error {
	return refuse(kerr.InvalidUpdateVersion, failedForAll+"Unsupported metadata.version downgrade from %d to %d. %s", from, to, why)
}

// switchELR is what else changes with the generation. Without ELR the members
// that there are mean nothing: they are removed.
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
