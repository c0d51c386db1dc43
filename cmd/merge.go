package cmd

import (
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	hunts "github.com/ktrial/ktrial/scenarios/hunt"
)

// mergeFlags say what becomes of the sum of several hunts.
type mergeFlags struct {
	out, junit string
	json       bool
}

func mergeCommand() *cobra.Command {
	var f mergeFlags
	c := &cobra.Command{
		Use:   "merge DIR...",
		Short: "join what the shards of a hunt found, and fail if a run is missing",
		Long: "merge joins the directories of hunt --out: the shards of a hunt, and hunts of further seeds of the same scenarios " +
			"with the same settings. The order of the directories does not matter.\n\n" +
			"A shard that is missing, is there twice, or was killed or interrupted is a gap: the verdict is then inconclusive at " +
			"best. So are seeds between two hunts that neither has, or both.",
		Example: examples(
			"merge part-0 part-1 part-2 part-3", "one verdict, one list of the ways to fail",
			"merge part-* --out all --junit all.xml", "with a page that links to what was kept, and for a CI",
		),
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return wrong("merge: found no arguments, expected DIR..., directories of hunt --out")
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error { return f.merge(args) },
	}
	c.Flags().StringVar(&f.out, "out", "", "write index.html to this `DIR`")
	c.Flags().StringVar(&f.junit, "junit", "", "write the results to this `FILE` as JUnit XML")
	c.Flags().BoolVar(&f.json, "json", false, "print JSON")
	if err := c.MarkFlagDirname("out"); err != nil {
		panic(err) // there is no such flag
	}
	return c
}

func (f *mergeFlags) merge(dirs []string) error {
	sum, err := hunts.Merge(dirs...)
	if err != nil {
		return usage{err}
	}
	if f.out != "" {
		err = os.MkdirAll(f.out, 0o755)
		if err == nil {
			err = writeWhole(filepath.Join(f.out, hunts.IndexFile), func(w io.Writer) error { return sum.WriteIndex(w, "hunts, joined", f.out) })
		}
		if err != nil {
			return cannotWrite("--out "+f.out, err)
		}
	}
	if err := summarize(&sum, f.json, f.junit); err != nil {
		return err
	}
	return endOfHunt(&sum)
}
