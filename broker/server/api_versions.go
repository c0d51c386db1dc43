package server

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/controller"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/metadata"
	"github.com/ktrial/ktrial/broker/wire"
)

// ApiVersions 0-4, on both listeners.
//
//   - Lists what has a handler here, with Kafka 4.1's ranges, the features that
//     this software supports, and those that the cluster has finalized.
//   - A version that is not served is answered in version 0 with
//     UNSUPPORTED_VERSION (KIP-511): package wire does that.
//   - v3+: the name and the version of the client's software must look like one.
//   - Below v4, a feature whose lowest level is 0 is left out: older clients
//     cannot read it (KAFKA-17011, KAFKA-17492).
//
// Missing: throttling.

func (b *Broker) apiVersions(_ *wire.Context, req *kmsg.ApiVersionsRequest) kmsg.Response {
	return apiVersions(req, b.versions, b.image())
}

// apiVersions answers from a listener's versions. The image may be nil, where
// there is none yet.
func apiVersions(req *kmsg.ApiVersionsRequest, vs wire.Versions, im *metadata.Image) *kmsg.ApiVersionsResponse {
	resp := kmsg.NewPtrApiVersionsResponse()
	if req.Version >= 3 && !(softwareName(req.ClientSoftwareName) && softwareName(req.ClientSoftwareVersion)) {
		resp.ErrorCode = kerr.InvalidRequest.Code
		return resp
	}
	resp.ApiKeys = vs.ApiKeys()
	for _, f := range controller.SupportedFeatures() {
		if f.Min == 0 && req.Version < 4 {
			continue
		}
		feature := kmsg.NewApiVersionsResponseSupportedFeature()
		feature.Name, feature.MinVersion, feature.MaxVersion = f.Name, f.Min, f.Max
		resp.SupportedFeatures = append(resp.SupportedFeatures, feature)
	}
	if im != nil {
		finalized(resp, im)
	}
	return resp
}

// softwareName reports whether s looks like the name or the version of a client:
// letters and digits, with dots and hyphens in between (KIP-511).
func softwareName(s string) bool {
	for i := range len(s) {
		c := s[i]
		inside := i > 0 && i < len(s)-1 && (c == '-' || c == '.')
		if !inside && !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9') {
			return false
		}
	}
	return s != ""
}

// finalized fills in what the cluster has agreed on. Its epoch is the offset of
// the metadata that says so: clients keep the answer with the largest.
func finalized(resp *kmsg.ApiVersionsResponse, im *metadata.Image) {
	resp.FinalizedFeaturesEpoch = int64(im.Offset)
	for _, f := range im.Features() {
		if !slices.ContainsFunc(controller.SupportedFeatures(), func(s metadata.FeatureRange) bool { return s.Name == f.Name }) {
			continue
		}
		feature := kmsg.NewApiVersionsResponseFinalizedFeature()
		feature.Name, feature.MinVersionLevel, feature.MaxVersionLevel = f.Name, f.Level, f.Level
		resp.FinalizedFeatures = append(resp.FinalizedFeatures, feature)
	}
	if len(resp.FinalizedFeatures) == 0 {
		resp.FinalizedFeaturesEpoch = int64(kafka.NoOffset)
	}
}
