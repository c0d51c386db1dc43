package checkers

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Files lists the histories that paths name: a file is itself, "-" is standard
// input, and a folder is all histories in it and below, in the order of their
// names.
func Files(paths []string) ([]string, error) {
	var files []string
	for _, path := range paths {
		if path == "-" {
			files = append(files, path)
			continue
		}
		info, err := os.Stat(path)
		if err != nil {
			return nil, fmt.Errorf("history: %w", err)
		}
		if !info.IsDir() {
			files = append(files, path)
			continue
		}
		before := len(files)
		err = filepath.WalkDir(path, func(name string, entry os.DirEntry, err error) error {
			if err == nil && !entry.IsDir() && isHistory(name) {
				files = append(files, name)
			}
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("history: %w", err)
		}
		if len(files) == before {
			return nil, fmt.Errorf("history: %s: found no .edn or .jsonl file, expected at least one", path)
		}
	}
	return files, nil
}

// isHistory goes by the name. The trace that lies beside the history of a
// recorded run is none.
func isHistory(name string) bool {
	//text:allow the name of a file
	name = strings.TrimSuffix(name, ".gz")
	if filepath.Base(name) == "trace.jsonl" {
		return false
	}
	//text:allow the name of a file
	return strings.HasSuffix(name, ".edn") || strings.HasSuffix(name, ".jsonl")
}
