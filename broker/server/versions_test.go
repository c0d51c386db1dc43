package server

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/metadata"
	"github.com/ktrial/ktrial/broker/wire"
	"github.com/ktrial/ktrial/internal/golden"
)

// What a node advertises is a promise to every client there is: a change shows
// in the diff.
func TestVersions_WhatIsAdvertised(t *testing.T) {
	var got strings.Builder
	for _, l := range []struct {
		name string
		of   wire.Versions
	}{
		{"broker", new(Broker).routes().versions(wire.Broker)},
		{"controller", new(Controller).routes().versions(wire.Controller)},
	} {
		fmt.Fprintf(&got, "%s listener\n", l.name)
		for _, r := range l.of {
			fmt.Fprintf(&got, "  %2d %-28s %d-%d\n", r.Key, kmsg.NameForKey(r.Key), r.Min, r.Max)
		}
	}
	golden.File(t, "testdata/versions.txt", got.String())
}

func TestApiVersions(t *testing.T) {
	im := metadata.NewImage()
	require.NoError(t, im.Apply(&metadata.FeatureLevelRecord{Name: "metadata.version", Level: 27}))
	require.NoError(t, im.Apply(&metadata.FeatureLevelRecord{Name: "a.feature.of.tomorrow", Level: 1}))
	im.Offset = 41
	ask := func(version int16, name string) *kmsg.ApiVersionsResponse {
		req := kmsg.NewPtrApiVersionsRequest()
		req.Version, req.ClientSoftwareName, req.ClientSoftwareVersion = version, name, "4.1.0"
		return apiVersions(req, wire.Versions{{Key: 18, Min: 0, Max: 4}}, im)
	}
	names := func(resp *kmsg.ApiVersionsResponse) (out []string) {
		for _, f := range resp.SupportedFeatures {
			out = append(out, f.Name)
		}
		return out
	}

	resp := ask(4, "apache-kafka-java")
	assert.Zero(t, resp.ErrorCode)
	assert.Len(t, resp.ApiKeys, 1)
	assert.Contains(t, names(resp), "eligible.leader.replicas.version")
	require.Len(t, resp.FinalizedFeatures, 1, "only what this node knows")
	assert.EqualValues(t, 27, resp.FinalizedFeatures[0].MaxVersionLevel)
	assert.EqualValues(t, 41, resp.FinalizedFeaturesEpoch)

	assert.NotContains(t, names(ask(3, "kgo")), "eligible.leader.replicas.version", "KAFKA-17492")
	assert.Zero(t, ask(0, "").ErrorCode)
	for _, bad := range []string{"", "-kgo", "kgo-", "k go", "köln"} {
		assert.Equal(t, kerr.InvalidRequest.Code, ask(3, bad).ErrorCode, bad)
	}
}
