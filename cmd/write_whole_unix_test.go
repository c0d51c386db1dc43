//go:build unix

package cmd

import (
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
)

// What is no file is written to and never replaced; a link stays one.
func TestWriteWhole(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	text := func(w io.Writer) error {
		_, err := io.WriteString(w, "text")
		return err
	}
	kind := func(name string) os.FileMode {
		info, err := os.Lstat(at(name))
		assert.NoError(t, err)
		return info.Mode().Type()
	}

	assert.NoError(t, os.WriteFile(at("old"), []byte("older and longer"), 0o644))
	assert.NoError(t, os.Symlink("old", at("link")))
	for _, name := range []string{"new", "old", "link"} {
		assert.NoError(t, writeWhole(at(name), text), name)
		read, err := os.ReadFile(at(name))
		assert.NoError(t, err)
		assert.Equal(t, "text", string(read), name)
	}
	assert.Equal(t, os.ModeSymlink, kind("link"))

	assert.NoError(t, os.Mkdir(at("directory"), 0o755))
	assert.ErrorContains(t, writeWhole(at("directory"), text), "is a directory")
	assert.NoFileExists(t, at("directory.part"))

	assert.NoError(t, syscall.Mkfifo(at("pipe"), 0o644))
	go func() {
		if f, err := os.Open(at("pipe")); err == nil {
			io.Copy(io.Discard, f)
		}
	}()
	assert.NoError(t, writeWhole(at("pipe"), text))
	assert.Equal(t, os.ModeNamedPipe, kind("pipe"))
}
