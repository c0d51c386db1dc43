package serve

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/ktrial/ktrial/broker/kafka"
)

const (
	propertiesFile = "ktrial.properties"
	lockFile       = ".lock"
	maxNodes       = 1000
)

// dir says which cluster a data directory holds: ktrial.properties. Each
// node has a directory in it, as Kafka lays it out.
type dir struct {
	path                 string
	clusterID            string
	brokers, controllers int
	// formatted: every node has been up, so that a node without files has lost
	// them. A controller without memory would have the brokers delete theirs.
	formatted bool
	fresh     bool // there is no file yet
}

func (d *dir) String() string {
	return fmt.Sprintf("brokers=%d\ncluster.id=%s\ncontrollers=%d\nformatted=%v\nversion=1\n", d.brokers, d.clusterID, d.controllers, d.formatted)
}

// openDir finds out whether path may be used for a cluster of that size,
// 0 meaning any. It writes nothing.
func openDir(path string, brokers, controllers int) (*dir, error) {
	if brokers < 0 || controllers < 0 || brokers > maxNodes || controllers > maxNodes {
		return nil, fmt.Errorf("%d brokers and %d controllers: expected 1 to %d of each", brokers, controllers, maxNodes)
	}
	d := &dir{path: path}
	text, err := os.ReadFile(d.file())
	switch {
	case errors.Is(err, fs.ErrNotExist):
		d.fresh, d.brokers, d.controllers = true, or(brokers, defaultNodes), or(controllers, defaultNodes)
		d.clusterID = kafka.NewUUID(realLuck{}).String()
		return d, d.checkEmpty()
	case err != nil:
		return nil, fmt.Errorf("data directory: %w", err)
	}
	if err := d.parse(string(text)); err != nil {
		return nil, err
	}
	if or(brokers, d.brokers) != d.brokers || or(controllers, d.controllers) != d.controllers {
		return nil, fmt.Errorf("data directory %s: holds a cluster of %d brokers and %d controllers, expected %d and %d",
			path, d.brokers, d.controllers, or(brokers, d.brokers), or(controllers, d.controllers))
	}
	return d, nil
}

func (d *dir) file() string { return filepath.Join(d.path, propertiesFile) }

// parse reads what String has written.
func (d *dir) parse(text string) error {
	props := map[string]string{}
	for line := range strings.Lines(text) {
		//text:allow a file of properties
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		props[key] = value
	}
	var err error
	count := func(key string) int {
		n, e := strconv.Atoi(props[key])
		if e != nil || n < 1 || n > maxNodes {
			err = errors.Join(err, fmt.Errorf("%s: %s is %q, expected 1 to %d", d.file(), key, props[key], maxNodes))
		}
		return n
	}
	if props["version"] != "1" {
		return fmt.Errorf("%s: version is %q, expected 1", d.file(), props["version"])
	}
	if d.clusterID = props["cluster.id"]; d.clusterID == "" {
		return fmt.Errorf("%s: there is no cluster.id", d.file())
	}
	d.brokers, d.controllers = count("brokers"), count("controllers")
	d.formatted = props["formatted"] == "true"
	return err
}

// checkEmpty refuses a directory that holds something which is not ours.
func (d *dir) checkEmpty() error {
	entries, err := os.ReadDir(d.path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("data directory: %w", err)
	}
	for _, e := range entries {
		if name := e.Name(); name != lockFile && name != propertiesFile+".tmp" {
			return fmt.Errorf("data directory %s: holds %s but no %s: expected an empty directory, or one that ktrial serve has made",
				d.path, name, propertiesFile)
		}
	}
	return nil
}

// claim makes a fresh directory the cluster's, and checks that another one
// holds every node.
func (d *dir) claim(nodes []string) error {
	if d.fresh {
		return d.write()
	}
	for _, name := range nodes {
		if !d.formatted {
			return nil
		}
		if _, err := os.Stat(filepath.Join(d.path, name, "meta.properties")); err != nil {
			return fmt.Errorf("data directory: %w: expected the files of every node of the cluster", err)
		}
	}
	return nil
}

// complete records that every node has been up.
func (d *dir) complete() error {
	if d.formatted {
		return nil
	}
	d.formatted = true
	return d.write()
}

// write replaces the file in one step.
func (d *dir) write() error {
	tmp := d.file() + ".tmp"
	f, err := os.Create(tmp)
	if err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	_, err = f.WriteString(d.String())
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(tmp, d.file())
	}
	if err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	return nil
}

func or(n, otherwise int) int {
	if n == 0 {
		return otherwise
	}
	return n
}
