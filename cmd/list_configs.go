package cmd

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ktrial/ktrial/broker"
	"github.com/ktrial/ktrial/broker/client"
	"github.com/ktrial/ktrial/broker/config"
	"github.com/ktrial/ktrial/lab/bench"
)

// configs are all settings of the catalogue. Kinds that have the very same one are
// printed together.
func configs() (items []item) {
	reads := map[*config.Definition]bool{}
	for _, d := range slices.Concat(broker.Effective(), client.Effective()) {
		reads[d] = true
	}
	type same struct{ name, about string }
	at := map[same]int{}
	kinds := [][]string{}
	for _, kind := range []config.Kind{config.Broker, config.Topic, config.Producer, config.Consumer, config.Admin, config.Group} {
		for _, d := range config.All(kind) {
			s := same{d.Name, aboutConfig(d, reads[d]) + inBench(d, reads[d])}
			i, known := at[s]
			if !known {
				i = len(items)
				at[s] = i
				items, kinds = append(items, item{Name: d.Name, About: s.about}), append(kinds, nil)
			}
			kinds[i] = append(kinds[i], kind.String())
		}
	}
	for i := range items {
		items[i].About = strings.Join(kinds[i], ", ") + ": " + items[i].About
	}
	return items
}

// aboutConfig is a setting's type, default and bounds, and what it does here.
func aboutConfig(d *config.Definition, isRead bool) string {
	about := d.Type.String()
	switch {
	case d.Null:
		about += ", default null"
	case d.Required:
		about += ", no default"
	default:
		about += fmt.Sprintf(", default %s", orQuotes(d.Default))
	}
	if d.Valid != "" {
		about += ", " + d.Valid
	}
	if d.Internal && !d.Ours() {
		about += ", internal"
	}
	switch {
	case d.Kind == config.Broker && broker.GivenByShape(d.Name):
		return about + "; given by the shape of the cluster, not to be set"
	case !isRead:
		return about + "; no effect here"
	case d.About == "" && config.DefaultOf(d.Name) != nil:
		return about + "; default of the topics' " + config.DefaultOf(d.Name).Name
	}
	return about + "; " + d.About
}

// inBench marks a setting that changes what bench measures.
func inBench(d *config.Definition, isRead bool) string {
	if isRead && bench.Acts(d.Name) {
		return " (acts in bench)"
	}
	return ""
}

func orQuotes(s string) string {
	if s == "" {
		return `""`
	}
	return s
}
