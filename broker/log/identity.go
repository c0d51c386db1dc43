package log

import (
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/ktrial/ktrial/broker/files"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/sim/env"
)

const (
	identityFile      = "meta.properties"
	cleanShutdownFile = ".kafka_cleanshutdown"
)

// identity is the cluster and node of a log directory: meta.properties, version 1.
type identity struct {
	cluster   string
	node      kafka.NodeID
	directory kafka.UUID
}

func (id identity) String() string {
	return fmt.Sprintf("cluster.id=%s\ndirectory.id=%v\nnode.id=%d\nversion=1\n", id.cluster, id.directory, id.node)
}

// readIdentity reads meta.properties; ErrNotExist when there is none.
func readIdentity(disk env.Disk, name string) (id identity, err error) {
	content, err := files.Read(disk, name)
	if err != nil {
		return id, err
	}
	bad := func(key, found, expected string) error {
		return fmt.Errorf("%s: %w: %s is %q, expected %s", name, errDamaged, key, found, expected)
	}
	props := parseProperties(string(content))
	if v := props["version"]; v != "1" {
		return id, bad("version", v, "1")
	}
	if id.cluster = props["cluster.id"]; id.cluster == "" {
		return id, bad("cluster.id", "", "a cluster's id")
	}
	node, err := strconv.ParseInt(props["node.id"], 10, 32)
	if err != nil || node < 0 {
		return id, bad("node.id", props["node.id"], "a node's number")
	}
	id.node = kafka.NodeID(node)
	if id.directory, err = kafka.ParseUUID(props["directory.id"]); err != nil {
		return id, bad("directory.id", props["directory.id"], "an id")
	}
	return id, nil
}

func parseProperties(content string) map[string]string {
	props := map[string]string{}
	for line := range strings.Lines(content) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		key, value, _ := strings.Cut(line, "=")
		props[strings.TrimSpace(key)] = strings.TrimSpace(value)
	}
	return props
}

// ErrOtherCluster is why a directory is not opened that is of another cluster than was expected.
var ErrOtherCluster = errors.New("the directory belongs to another cluster")

// identify checks that the directory is the node's own. An empty one becomes
// it; in any other case nothing is written.
func identify(host env.Host, dir string, opts DirOptions) (kafka.UUID, error) {
	disk, name := host.Disk(), path.Join(dir, identityFile)
	found, err := readIdentity(disk, name)
	if errors.Is(err, env.ErrNotExist) {
		return formatDir(host, dir, opts)
	}
	switch {
	case err != nil:
		return kafka.UUID{}, err
	case found.cluster != opts.ClusterID:
		return kafka.UUID{}, fmt.Errorf("%s: cluster.id is %q, expected %q: %w", name, found.cluster, opts.ClusterID, ErrOtherCluster)
	case found.node != opts.NodeID:
		return kafka.UUID{}, fmt.Errorf("%s: node.id is %d, expected %d: the directory belongs to another node",
			name, found.node, opts.NodeID)
	}
	return found.directory, nil
}

// formatDir makes a directory the node's own, unless it holds something.
func formatDir(host env.Host, dir string, opts DirOptions) (kafka.UUID, error) {
	disk := host.Disk()
	names, err := disk.List(dir)
	if err != nil && !errors.Is(err, env.ErrNotExist) {
		return kafka.UUID{}, err
	}
	names = slices.DeleteFunc(names, func(name string) bool { return name == identityFile+".tmp" })
	if len(names) > 0 {
		return kafka.UUID{}, fmt.Errorf("%s: there is none, but the directory holds %s: expected an empty directory or one with %s",
			path.Join(dir, identityFile), names[0], identityFile)
	}
	if err := files.MkdirAll(disk, dir); err != nil {
		return kafka.UUID{}, err
	}
	id := identity{opts.ClusterID, opts.NodeID, kafka.NewUUID(host.Rand())}
	return id.directory, replaceFile(disk, path.Join(dir, identityFile), []byte(id.String()))
}

// cleanShutdown is the mark that a broker leaves when it shuts down in order (KIP-966).
type cleanShutdown struct {
	Version     int               `json:"version"`
	BrokerEpoch kafka.BrokerEpoch `json:"brokerEpoch"`
}

// takeCleanShutdown reads the mark and removes it: should the process die
// while it loads the logs, the next one must not believe in it (KAFKA-10471).
// The epoch of a mark that cannot be read is -1.
func takeCleanShutdown(disk env.Disk, dir string) (epoch kafka.BrokerEpoch, clean bool, err error) {
	name := path.Join(dir, cleanShutdownFile)
	content, err := files.Read(disk, name)
	if errors.Is(err, env.ErrNotExist) {
		return kafka.NoEpoch, false, nil
	}
	if err != nil {
		return kafka.NoEpoch, false, err
	}
	mark := cleanShutdown{BrokerEpoch: kafka.NoEpoch}
	if json.Unmarshal(content, &mark) != nil {
		mark.BrokerEpoch = kafka.NoEpoch
	}
	if err := disk.Remove(name); err != nil {
		return kafka.NoEpoch, false, err
	}
	return mark.BrokerEpoch, true, disk.SyncDir(dir)
}

func markCleanShutdown(disk env.Disk, dir string, epoch kafka.BrokerEpoch) error {
	content, err := json.Marshal(cleanShutdown{BrokerEpoch: epoch})
	if err != nil {
		return err
	}
	return replaceFile(disk, path.Join(dir, cleanShutdownFile), content)
}

// writeTopicID writes partition.metadata (KIP-516).
func writeTopicID(disk env.Disk, dir string, id kafka.UUID) error {
	return replaceFile(disk, inDir(dir, metadataFile), []byte("version: 0\ntopic_id: "+id.String()+"\n"))
}

func readTopicID(disk env.Disk, dir string) (kafka.UUID, error) {
	name := inDir(dir, metadataFile)
	content, err := files.Read(disk, name)
	if err != nil {
		return kafka.UUID{}, err
	}
	text, found := strings.CutPrefix(strings.TrimSpace(string(content)), "version: 0\ntopic_id: ")
	id, err := kafka.ParseUUID(text)
	if !found || err != nil {
		return kafka.UUID{}, fmt.Errorf("%s: %w: found %q, expected version 0 and a topic id", name, errDamaged, content)
	}
	return id, nil
}
