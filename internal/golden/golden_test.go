package golden

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

// said is a test that only takes down what it is told.
type said struct{ errors []string }

func (s *said) Helper() {}
func (s *said) Errorf(format string, args ...any) {
	s.errors = append(s.errors, fmt.Sprintf(format, args...))
}
func (s *said) Fatalf(format string, args ...any) { s.Errorf(format, args...) }

func TestFileTellsTheFirstLineThatDiffers(t *testing.T) {
	var s said
	File(&s, "testdata/three.txt", "one\ntwo\nthree\n")
	assert.Empty(t, s.errors)
	File(&s, "testdata/three.txt", "one\n2\nthree\n")
	File(&s, "testdata/three.txt", "one\n")
	assert.Len(t, s.errors, 2)
	assert.Contains(t, s.errors[0], `testdata/three.txt:2: found    "2"`)
	assert.Contains(t, s.errors[0], `expected "two"`)
	assert.Contains(t, s.errors[1], `three.txt:2: found    ""`)
}

func TestStoriesAreToldOneByOne(t *testing.T) {
	var told []string
	Stories(t, "testdata/*.txt", func(_ *testing.T, text string) string {
		told = append(told, strings.SplitN(text, "\n", 2)[0])
		return text
	})
	assert.Equal(t, []string{"one"}, told)
}

func TestCommandsAreAnsweredBelowThem(t *testing.T) {
	var got []Command
	told := Commands("# why\nbegin a b n=1\n  old\n\nend x=y=z", func(c Command) []string {
		got = append(got, c)
		return c.Args
	})
	assert.Equal(t, []Command{
		{"begin", []string{"a", "b"}, map[string]string{"n": "1"}},
		{"end", nil, map[string]string{"x": "y=z"}},
	}, got)
	assert.Equal(t, "# why\nbegin a b n=1\n  a\n  b\n\nend x=y=z\n", told)
}
