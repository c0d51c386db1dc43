//go:build !linux

package cmd

import (
	"os"
	"testing"
)

// openTerminal is a terminal of so many columns.
func openTerminal(t *testing.T, _ uint16) *os.File {
	t.Skip("terminals are only tried on Linux")
	return nil
}
