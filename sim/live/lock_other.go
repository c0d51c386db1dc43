//go:build !unix

package live

import (
	"fmt"
	"os"
	"path/filepath"
)

// lockDir does not keep other programs away: there is no portable way.
func lockDir(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, ".lock"), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("live: data directory: %w", err)
	}
	return f, nil
}
