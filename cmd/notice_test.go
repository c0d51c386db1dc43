package cmd

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// licences says under which licence each module of go.mod may be passed on, and
// which of its files has the text. A new one is entered here by hand, after
// reading it; `go test ./cmd -run Notice -rewrite` then writes NOTICE.
var licences = map[string]licence{
	"codeberg.org/go-fonts/liberation":        {"BSD-3-Clause; the fonts: OFL-1.1", []string{"LICENSE", "LICENSE-SIL"}, ""},
	"codeberg.org/go-latex/latex":             {"BSD-3-Clause", []string{"LICENSE"}, ""},
	"codeberg.org/go-pdf/fpdf":                {"MIT", []string{"LICENSE"}, ""},
	"git.sr.ht/~sbinet/gg":                    {"MIT", []string{"LICENSE.md"}, ""},
	"github.com/HdrHistogram/hdrhistogram-go": {"MIT", []string{"LICENSE"}, ""},
	"github.com/ajstarks/svgo": {"CC-BY-4.0", nil, "SVGo by Anthony Starks, https://github.com/ajstarks/svgo, unchanged.\n" +
		"Licensed under the Creative Commons Attribution 4.0 International Licence, without warranties of any kind:\n" +
		"https://creativecommons.org/licenses/by/4.0/legalcode"},
	"github.com/anishathalye/porcupine": {"MIT", []string{"LICENSE.md"}, ""},
	"github.com/golang/freetype": {"FTL, chosen from FTL or GPL-2.0-or-later", []string{"licenses/ftl.txt"},
		"Portions of this software are copyright © 2010 The FreeType Project (www.freetype.org). All rights reserved."},
	"github.com/inconshreveable/mousetrap": {"Apache-2.0", nil, "On Windows only. The text is in the file LICENSE."},
	"github.com/klauspost/compress":        {"BSD-3-Clause; parts: Apache-2.0, MIT", []string{"LICENSE"}, ""},
	"github.com/pierrec/lz4/v4":            {"BSD-3-Clause", []string{"LICENSE"}, ""},
	"github.com/spf13/cobra":               {"Apache-2.0", nil, "The text is in the file LICENSE."},
	"github.com/spf13/pflag":               {"BSD-3-Clause", []string{"LICENSE"}, ""},
	"github.com/tetratelabs/wazero":        {"Apache-2.0", []string{"NOTICE"}, "The text is in the file LICENSE."},
	"github.com/twmb/franz-go":             {"BSD-3-Clause", []string{"LICENSE"}, ""},
	"github.com/twmb/franz-go/pkg/kmsg":    {"BSD-3-Clause", []string{"LICENSE"}, ""},
	"golang.org/x/image":                   {"BSD-3-Clause", []string{"LICENSE"}, ""},
	"golang.org/x/sys":                     {"BSD-3-Clause", []string{"LICENSE"}, ""},
	"golang.org/x/term":                    {"BSD-3-Clause", []string{"LICENSE"}, ""},
	"golang.org/x/text":                    {"BSD-3-Clause", []string{"LICENSE"}, ""},
	"gonum.org/v1/plot":                    {"BSD-3-Clause", []string{"LICENSE"}, ""},

	// These are for tests and not in the program.
	"github.com/stretchr/testify": {"MIT", nil, ""},
	"go.yaml.in/yaml/v3":          {"MIT and Apache-2.0", nil, ""},
	"pgregory.net/rapid":          {"MPL-2.0", nil, ""},
}

// licence is that of a module.
type licence struct {
	name  string // by SPDX
	files []string
	says  string // what its licence wants said
}

// required are the modules that go.mod requires.
func required(t *testing.T) (modules []string) {
	text, err := os.ReadFile("../go.mod")
	require.NoError(t, err)
	block := false
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		switch {
		case len(fields) > 1 && fields[0] == "require" && fields[1] == "(":
			block = true
		case len(fields) > 1 && fields[0] == "require":
			modules = append(modules, fields[1])
		case len(fields) > 0 && fields[0] == ")":
			block = false
		case block && len(fields) > 1:
			modules = append(modules, fields[0])
		}
	}
	require.NotEmpty(t, modules)
	return modules
}

// A dependency comes with its licence.
func TestNoticeNamesEveryDependency(t *testing.T) {
	notice, err := os.ReadFile("../NOTICE")
	require.NoError(t, err)
	modules := required(t)
	for _, module := range modules {
		l, known := licences[module]
		if assert.True(t, known, "go.mod requires %s, whose licence is in no NOTICE: read it, enter it into cmd/notice_test.go, and run: go test ./cmd -run Notice -rewrite", module) {
			assert.Contains(t, string(notice), noticeRow(module, l), "run: go test ./cmd -run Notice -rewrite")
		}
	}
	for module := range licences {
		assert.Contains(t, modules, module, "go.mod no longer requires it: take it out of cmd/notice_test.go")
	}
}

// NOTICE has the licences of what is linked into the program on any system, as
// the modules have them.
func TestNoticeIsUpToDate(t *testing.T) {
	if testing.Short() {
		t.Skip("it asks the go command for all that is linked")
	}
	t.Parallel()
	dirs := linked(t)
	var inside, outside []string
	for _, module := range required(t) {
		if dirs[module] != "" {
			inside = append(inside, module)
		} else {
			outside = append(outside, module)
		}
	}
	slices.Sort(inside)
	slices.Sort(outside)
	golden(t, "../NOTICE", notice(t, inside, outside, dirs))
}

// linked are the modules in the program, with the directories of their sources.
func linked(t *testing.T) map[string]string {
	dirs := map[string]string{}
	for _, system := range []string{"linux", "windows", "darwin"} {
		c := exec.Command("go", "list", "-deps", "-f", "{{with .Module}}{{.Path}}\t{{.Dir}}{{end}}", "./ktrial")
		c.Env = append(os.Environ(), "GOOS="+system, "GOARCH=amd64")
		out, err := c.Output()
		if err != nil {
			t.Skipf("the go command cannot list what is linked on %s: %v", system, err)
		}
		for line := range strings.Lines(string(out)) {
			module, dir, _ := strings.Cut(strings.TrimSpace(line), "\t")
			if dir != "" {
				dirs[module] = dir
			}
		}
	}
	return dirs
}

func noticeRow(module string, l licence) string {
	return fmt.Sprintf("  %-42s %s\n", module, l.name)
}

// notice is the text of NOTICE.
func notice(t *testing.T, inside, outside []string, dirs map[string]string) string {
	var out strings.Builder
	out.WriteString("ktrial\n\nThis program is licensed under the Apache License 2.0; see the file LICENSE.\n\n" +
		"It contains these modules, whose licences follow, and Go's runtime and standard library (BSD-3-Clause):\n\n")
	for _, module := range inside {
		out.WriteString(noticeRow(module, licences[module]))
	}
	out.WriteString("\nThese are for its tests, and not in the program:\n\n")
	for _, module := range outside {
		out.WriteString(noticeRow(module, licences[module]))
	}
	texts := map[string][]string{} // whose licence it is
	var order []string
	add := func(text, of string) {
		if texts[text] == nil {
			order = append(order, text)
		}
		if !slices.Contains(texts[text], of) {
			texts[text] = append(texts[text], of)
		}
	}
	root, err := exec.Command("go", "env", "GOROOT").Output()
	require.NoError(t, err)
	add(read(t, filepath.Join(strings.TrimSpace(string(root)), "LICENSE")), "Go")
	for _, module := range inside {
		l := licences[module]
		if l.says != "" {
			add(l.says, module)
		}
		for _, file := range l.files {
			add(read(t, filepath.Join(dirs[module], file)), module)
		}
	}
	for _, text := range order {
		fmt.Fprintf(&out, "\n%s\n%s\n\n%s\n", strings.Repeat("-", 80), strings.Join(texts[text], ", "), text)
	}
	return out.String()
}

// read is a file's text in lines that end as ours do.
func read(t *testing.T, file string) string {
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	var out []string
	for line := range strings.Lines(strings.ReplaceAll(string(text), "\r", "")) {
		out = append(out, strings.TrimRight(line, " \t\n"))
	}
	return strings.Trim(strings.Join(out, "\n"), "\n")
}
