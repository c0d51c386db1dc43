package server

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/metadata"
	"github.com/ktrial/ktrial/sim/env"
)

// A broker that was started as Kafka was, with a topic set as Kafka's, describes
// both as Kafka did: every setting with its value, source, type and synonyms.
func TestDescribeConfigs_SaysWhatKafkaSays(t *testing.T) {
	text, err := os.ReadFile("testdata/kafka-describes.tsv")
	require.NoError(t, err)
	want := map[string][]string{}
	given := map[string]string{}
	for _, line := range strings.Split(strings.TrimSpace(string(text)), "\n")[2:] {
		f := strings.Split(line+"\t", "\t")
		want[f[0]] = append(want[f[0]], strings.TrimRight(line[len(f[0])+1:], "\t"))
		for synonym := range strings.SplitSeq(f[7], " ") {
			if own, ok := strings.CutPrefix(synonym, f[1]+"="); ok && strings.HasSuffix(own, "@4") && f[0] == "broker" {
				given[f[1]] = strings.TrimSuffix(own, "@4")
			}
		}
	}
	require.Len(t, want["broker"], 352, "350, one that is internal, and one that is a plugin's")
	require.Len(t, want["topic"], 37)
	require.Len(t, want["group"], 21)
	onBroker(t, func(_ env.Host, b *Broker) {
		b.Given = given
		for _, set := range []struct {
			kind              metadata.ResourceType
			name, config, val string
		}{
			{metadata.BrokerResource, "", "min.insync.replicas", "1"},
			{metadata.TopicResource, "stocks", "retention.bytes", "5000"},
			{metadata.TopicResource, "stocks", "segment.bytes", "2000000"},
		} {
			require.NoError(t, b.Metadata.image.Apply(&metadata.ConfigRecord{ResourceType: set.kind, ResourceName: set.name, Name: set.config, Value: &set.val}))
		}
		assert.ElementsMatch(t, want["broker"], described(t, b, kmsg.ConfigResourceTypeBroker, "1"))
		assert.ElementsMatch(t, want["topic"], described(t, b, kmsg.ConfigResourceTypeTopic, "stocks"))
		b.Given = map[string]string{"group.consumer.session.timeout.ms": "46000"}
		assert.ElementsMatch(t, want["group"], described(t, b, kmsg.ConfigResourceTypeGroupConfig, "billing"))
	})
}

// described has a line for each setting of a resource, as the table has it.
func described(t *testing.T, b *Broker, kind kmsg.ConfigResourceType, name string) (lines []string) {
	req := kmsg.NewPtrDescribeConfigsRequest()
	req.Version, req.IncludeSynonyms = 4, true
	r := kmsg.NewDescribeConfigsRequestResource()
	r.ResourceType, r.ResourceName = kind, name
	req.Resources = append(req.Resources, r)
	resp := b.describeConfigs(nil, req).(*kmsg.DescribeConfigsResponse).Resources[0]
	require.Zero(t, resp.ErrorCode)
	for _, c := range resp.Configs {
		var synonyms []string
		for _, s := range c.ConfigSynonyms {
			synonyms = append(synonyms, fmt.Sprintf("%s=%s@%d", s.Name, orNull(s.Value), s.Source))
		}
		line := fmt.Sprintf("%s\t%s\t%d\t%v\t%v\t%d\t%s", c.Name, orNull(c.Value), c.Source, c.ReadOnly, c.IsSensitive, c.ConfigType, strings.Join(synonyms, " "))
		lines = append(lines, strings.TrimRight(line, "\t"))
		assert.Nil(t, c.Documentation, "it was not asked for")
	}
	return lines
}

func orNull(s *string) string {
	if s == nil {
		return "<null>"
	}
	return *s
}

func TestDescribeConfigs_DocumentationAndNames(t *testing.T) {
	onBroker(t, func(_ env.Host, b *Broker) {
		req := kmsg.NewPtrDescribeConfigsRequest()
		req.Version, req.IncludeDocumentation = 4, true
		r := kmsg.NewDescribeConfigsRequestResource()
		r.ResourceType, r.ResourceName, r.ConfigNames = kmsg.ConfigResourceTypeTopic, "orders", []string{"retention.ms", "preallocate", "nothing"}
		req.Resources = append(req.Resources, r, r, r)
		resp := b.describeConfigs(nil, req).(*kmsg.DescribeConfigsResponse)
		require.Len(t, resp.Resources, 1, "a resource is answered once, however often it is named")
		configs := resp.Resources[0].Configs
		require.Len(t, configs, 2)
		assert.Equal(t, "boolean, [true, false]", *configs[0].Documentation)
		assert.Equal(t, "age of a segment at which it is deleted; -1: never", *configs[1].Documentation)
		assert.Empty(t, configs[1].ConfigSynonyms)
	})
}
