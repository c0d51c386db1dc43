package cmd

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"github.com/ktrial/ktrial/internal/nearest"
	"github.com/ktrial/ktrial/lab/predict"
)

// benchPublished plays what others have measured, one run on each core.
func benchPublished(c *cobra.Command, only string) error {
	cases := predict.Cases()
	if only != "" && only != "all" {
		cases = slices.DeleteFunc(cases, func(x predict.Case) bool { return !slices.Contains(x.Rows, only) })
		if len(cases) == 0 {
			var ids []string
			for _, x := range predict.Cases() {
				ids = append(ids, x.Rows...)
			}
			return usage{fmt.Errorf("--published: %w", nearest.Unknown("figure", only, ids))}
		}
	}
	lines := make([][]predict.Line, len(cases))
	errs := make([]error, len(cases))
	var wait sync.WaitGroup
	free := make(chan struct{}, runtime.NumCPU())
	for i, x := range cases {
		wait.Add(1)
		go func() {
			defer wait.Done()
			free <- struct{}{}
			lines[i], errs[i] = x.Play()
			<-free
		}()
	}
	wait.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	out := c.OutOrStdout()
	fmt.Fprintln(out, predict.Text(slices.Concat(lines...)))
	for _, x := range cases {
		fmt.Fprintf(out, "%s: profile %s; %s. Figures %s.\n", x.Name, x.Profile, x.About, strings.Join(x.Rows, ", "))
	}
	return nil
}
