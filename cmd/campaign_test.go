package cmd

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The other program is run with the arguments as they are, and its exit code is the command's;
// where it is not installed the command says how that is done.
func TestCampaign(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", dir)
	s := typed(t, "campaign", "serve", "--seeds", "1..3")
	assert.Equal(t, exitUsage, s.code)
	assert.Contains(t, s.err, "campaign: found no program ktrial-campaign, which is installed by: go install github.com/ktrial/ktrial/campaign/ktrial-campaign@latest")

	said := filepath.Join(dir, "said")
	script := "#!/bin/sh\necho \"$@ by $KTRIAL_PROGRAM\" > " + said + "\nexit 2\n"
	require.NoError(t, os.WriteFile(filepath.Join(dir, "ktrial-campaign"), []byte(script), 0o755))
	s = typed(t, "campaign", "work", "--join", "nats://here:4222")
	assert.Equal(t, 2, s.code, s.err)
	text, err := os.ReadFile(said)
	require.NoError(t, err)
	self, err := os.Executable()
	require.NoError(t, err)
	assert.Equal(t, "work --join nats://here:4222 by "+self+"\n", string(text))
	assert.Contains(t, typed(t, "campaign", "--help").out, "go install ")
}
