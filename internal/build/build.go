// Package build says which build of the program runs: a seed means the same run
// only for the same build.
package build

import (
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
)

// unknown is the revision of a build that knows none: go test and go run keep
// none in the program.
const unknown = "unknown"

// ID identifies this build: the revision of its source; if that is unknown or
// was changed, with the beginning of the program's own checksum, which tells
// such builds apart.
var ID = sync.OnceValue(func() string {
	revision, changed := revision()
	id := revision
	if changed {
		id += "+changes"
	}
	if revision == unknown || changed {
		if sum := checksum(); sum != "" {
			id += " " + sum
		}
	}
	return id
})

// Same reports whether two builds are known to be the same. Of a build that is
// unknown nothing is known.
func Same(a, b string) bool {
	return a == b && a != unknown && a != "" && !strings.HasSuffix(a, "+changes")
}

// Version is what `--version` says: the module's version, the revision, Go's
// version and the machine.
func Version() string {
	version := "(devel)"
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		version = info.Main.Version
	}
	revision, changed := revision()
	if changed {
		revision += ", with changes"
	}
	return fmt.Sprintf("%s (commit %s) %s %s/%s", version, revision, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

func revision() (revision string, changed bool) {
	revision = unknown
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return revision, false
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			revision = s.Value
		case "vcs.modified":
			changed = s.Value == "true"
		}
	}
	return revision, changed
}

// checksum is the beginning of that of the running program; empty: it cannot be
// read.
func checksum() string {
	name, err := os.Executable()
	if err != nil {
		return ""
	}
	f, err := os.Open(name)
	if err != nil {
		return ""
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return ""
	}
	return fmt.Sprintf("program %x", h.Sum(nil)[:8])
}
