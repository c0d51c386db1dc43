package cmd

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/ktrial/ktrial/reports"
	"github.com/ktrial/ktrial/scenarios/zoo"
)

// chanceFile has a line for each search of zoo --chance when it is over.
const chanceFile = "chance.jsonl"

// measureChance hunts for each bug several times.
func (f *zooFlags) measureChance(z zoo.Zoo) error {
	stop := make(chan struct{})
	onInterrupt(func() {
		clearLine()
		fmt.Fprintln(os.Stderr, "ktrial: interrupted; the run under way ends first")
		close(stop)
	})
	c := zoo.Chance{Bugs: z.Bugs, Scenarios: z.Scenarios, Searches: f.chance, Limit: f.cpu, CPU: cpuTime, Interrupt: stop}
	var file *os.File
	if f.out != "" {
		var err error
		if file, err = resumeLines(f.out, chanceFile, func(line []byte) error {
			var s zoo.Search
			err := json.Unmarshal(line, &s)
			c.Known = append(c.Known, s)
			return err
		}); err != nil {
			return wrong("--out %s: %w", f.out, err)
		}
		defer file.Close()
	}
	begun, show, done := time.Now(), statusLine("zoo", 30*time.Second), 0
	c.Done = func(s zoo.Search) error {
		done++
		show(time.Since(begun), func() string {
			return fmt.Sprintf("%d of %d searches, the last for %s took %.0f CPU seconds", done+len(c.Known), len(c.Bugs)*c.Searches, s.Bug, s.CPUSeconds)
		})
		if file == nil {
			return nil
		}
		return reports.WriteJSON(file, s)
	}
	all, err := c.Run()
	clearLine()
	if err != nil {
		return blame(err)
	}
	write := func(w io.Writer) error {
		c.WriteMarkdown(w, all)
		return nil
	}
	if f.out != "" {
		if err := writeWhole(filepath.Join(f.out, "chance.md"), write); err != nil {
			return cannotWrite("--out "+f.out, err)
		}
	}
	if f.json {
		reports.WriteJSON(stdout, map[string]any{"type": "chance", "searches": all})
	} else {
		_ = write(stdout)
	}
	select {
	case <-stop:
		return errInterrupted
	default:
		return nil
	}
}
