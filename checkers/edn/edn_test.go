package edn

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// tokens is all of a text, in short: i7 k:x s"a" ( ).
func tokens(text string, json bool) (out []string, err error) {
	s := NewScanner("test", strings.NewReader(text))
	return collect(s, json)
}

func collect(s *Scanner, json bool) (out []string, err error) {
	s.JSON = json
	for {
		switch kind := s.Next(); kind {
		case EOF, Bad:
			return out, s.Err
		case Int:
			out = append(out, fmt.Sprint("i", s.Int))
		case Bool:
			out = append(out, fmt.Sprint("b", s.Int))
		case Nil:
			out = append(out, "nil")
		case Open, Close:
			out = append(out, string(s.Text))
		default:
			out = append(out, fmt.Sprintf("%c%s", kind.String()[2], s.Text))
		}
	}
}

func TestTokens(t *testing.T) {
	for text, want := range map[string]string{
		`[1 -2 +3, 4N]`:                                "[ i1 i-2 i3 i4 ]",
		`{:a nil :b/c true, false sym}`:                "{  ka nil  kb/c b1 b0  ssym }",
		`#{1} #inst "2024" #a/b {:x 1}`:                "#{ i1 }  s2024 {  kx i1 }",
		`#_ 1 2 #_#_ 3 4 5 #_[a (b)] 6`:                "i2 i5 i6",
		`; a comment` + "\n" + `1 ;2`:                  "i1",
		`^{:doc "x"} [1] ^:private y`:                  "[ i1 ]  sy",
		`"a\n\"\u00e9\\" "two` + "\n" + `lines"`:       "sa\n\"é\\ stwo\nlines",
		`1/3 1.5e-3 12345678901234567890N ##Inf -0.5M`: "n1/3 n1.5e-3 n12345678901234567890N n##Inf n-0.5M",
		`\a \newline \( \u0041`:                        "ca cnewline c( cu0041",
	} {
		got, err := tokens(text, false)
		assert.NoError(t, err, text)
		assert.Equal(t, strings.ReplaceAll(want, "  ", " "), strings.ReplaceAll(strings.Join(got, " "), "  ", " "), text)
	}
	got, err := tokens(`{"a":[1,null,"\ud83d\ude00\/"],"b":-1.5}`, true)
	assert.NoError(t, err)
	assert.Equal(t, `{ sa [ i1 nil s😀/ ] sb n-1.5 }`, strings.Join(got, " "))
}

func TestWhereItBreaks(t *testing.T) {
	for text, want := range map[string]string{
		"[1\n 2)":     "test:2:3: found ), expected ] for the [ at 1:1",
		"{:a (1":      "test:1:7: found the end of the file, expected ) for the ( at 1:5",
		"]":           "test:1:1: found ], expected nothing to be closed",
		`"abc`:        `test:1:1: found a string without end, expected its closing "`,
		`  "a\x"`:     `test:1:3: found \x in a string`,
		`"\u12"`:      `\u without four hexadecimal digits`,
		"1 #":         "test:1:3: found # at the end of the file",
		"#_":          "test:1:1: found nothing behind it, expected a form to drop",
		"(1 #_)":      "test:1:6: found ), expected a form to drop",
		": 1":         "test:1:1: found :, expected a keyword",
		"; é\n\n   )": "test:3:4: found )",
	} {
		_, err := tokens(text, false)
		if assert.Error(t, err, text) {
			assert.Contains(t, err.Error(), want)
		}
	}
}

// However the input is cut into pieces, the tokens are the same.
func TestWindowsDoNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		piece := rapid.SampledFrom([]string{"[", "]", "{", "}", "(", ")", "#{", ":key", "sym", "17", "-3", `"a\"b"`, `"é\u00e9"`, "#_ 1", "; c\n", "\\a", "\n", ",", "#tag", "nil"})
		text := strings.Join(rapid.SliceOf(piece).Draw(t, "pieces"), " ")
		want, wantErr := tokens(text, false)
		s := NewScanner("test", iotest.OneByteReader(strings.NewReader(text)))
		s.buf = make([]byte, 1)
		got, err := collect(s, false)
		assert.Equal(t, want, got, text)
		assert.Equal(t, wantErr, err, text)
	})
}

func FuzzScanner(f *testing.F) {
	f.Add(`[{:a #{1 "x\n"} #_ b}]`, false)
	f.Add(`{"a":[1,null,"\ud83d\ude00"]}`, true)
	f.Fuzz(func(t *testing.T, text string, json bool) {
		_, _ = tokens(text, json)
	})
}

// A file cannot use up the stack or the memory of its reader: what is too deep or
// too long is refused with its place.
func TestBounds(t *testing.T) {
	for _, c := range []struct {
		name string
		text io.Reader
		want string
	}{
		{"drops within drops", io.MultiReader(strings.NewReader(strings.Repeat("#_ ", 1_000_000)), strings.NewReader("1")), "x:1:1: found nothing behind it, expected a form to drop"},
		{"brackets within brackets", strings.NewReader(strings.Repeat("[", 2000)), "x:1:1001: found a bracket within 1000 others, expected fewer"},
		{"dropped brackets", strings.NewReader("#_" + strings.Repeat("[", 2000)), "x:1:1003: found a bracket within 1000 others"},
		{"zeros", strings.NewReader("[1 \x00\x00"), "x:1:4: found byte 0x00, expected text"},
		{"a long string", io.MultiReader(strings.NewReader("[ \""), endless('a')), "x:1:3: found a token of more than 16 MiB"},
		{"a long symbol", io.MultiReader(strings.NewReader("[ "), endless('a')), "x:1:3: found a token of more than 16 MiB"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := NewScanner("x", c.text)
			for kind := s.Next(); kind != EOF && kind != Bad; {
				kind = s.Next()
			}
			require.Error(t, s.Err)
			assert.Contains(t, s.Err.Error(), c.want)
		})
	}
}

func TestDropsAreCounted(t *testing.T) {
	s := NewScanner("x", strings.NewReader("#_ #_ [1 #_ 2] 3 #_ ^m #tag 4 [5 #_6 7] ^{:a #_b c} 8 #_ #_ a b"))
	var numbers []int64
	for kind := s.Next(); kind != EOF; kind = s.Next() {
		require.NoError(t, s.Err)
		if kind == Int {
			numbers = append(numbers, s.Int)
		}
	}
	assert.Equal(t, []int64{5, 7, 8}, numbers)
}

// endless gives one byte for ever.
type endless byte

func (e endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(e)
	}
	return len(p), nil
}
