package ktrial

import (
	"fmt"
	"go/ast"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// bannedForm is a form of words that we do not write, and what to write instead.
type bannedForm struct {
	form    *regexp.Regexp
	instead string
}

// bannedText is not written in comments, messages and documents.
var bannedText = []bannedForm{
	{regexp.MustCompile(`(?i)\b(who|whom|whoever|whomever|whoso)\b`), "name the subject: the broker, voter, task, client, caller, reader that ..."},
	{regexp.MustCompile(`(?i)\b(nobody|somebody|anybody|everybody|no one|someone|anyone|everyone)\b`), "name it: no broker, a client, any reader, all replicas"},
	{regexp.MustCompile(`(?i)\b(he|him|his|himself)\b`), "a node, task or client is it"},
	{regexp.MustCompile(`(?i)\b(befell|befall|befalls|darkens?|nudge[sd]?|dues)\b`), "happened to, shades, wakes, due times"},
	{regexp.MustCompile(`(?i)\b(spares|spared) (the|a|an|of|\d+) (fault|host|power|broker|controller)`), "a fault is skipped"},
	{regexp.MustCompile(`(?i)\binvariants\b`), "what is checked after each event is a law; only a field has an Invariant: of its own"},
}

// bannedNames are no part of an identifier.
var bannedNames = map[string]string{
	"who": "node, client, process", "whom": "node, client, process", "nobody": "none", "somebody": "some", "anybody": "any", "everybody": "all",
	"desk": "fetch state of a leader", "dues": "dueAt", "darkens": "on power loss", "befell": "happened",
	"nudge": "wake", "nudged": "awakened", "stranger": "unknown", "strangers": "unknown", "spared": "skipped", "shake": "what it does",
}

// oneMeaning are words that have one meaning here (the table of words in
// ARCHITECTURE.md): each may be part of an identifier only in the folders where
// it has that one.
var oneMeaning = map[string]struct {
	meaning, instead string
	folders          []string
}{
	"watch": {"to be called at each change: a request in purgatory, the laws of a run, a recorder's observer", "read, judge, check", []string{"broker/replica", "checkers/history", "checkers", "scenarios", "tap", "examples"}},
	"tell":  {"to report an event to the ledger", "answer, name, report, print", []string{"broker", "sim", "workloads", "faults", "scenarios/trial", "scenarios/inspector", "scenarios/cluster", "scenarios/nemesis", "examples"}},
	"place": {"to put replicas on brokers", "position, index, entry", []string{"broker/controller"}},
	"note":  {"an event of a history that is not a client's", "record, count, add, remember", []string{"checkers", "scenarios/trial", "scenarios/serve", "tap", "workloads"}},
}

// inComments are words of the table that comments use with that one meaning, too.
// Idioms are forms that every reader knows; what to say instead is in the table.
var inComments = map[string]struct {
	form, idioms *regexp.Regexp
	folders      []string
}{
	"place": {
		regexp.MustCompile(`(?i)\bplace[sd]?\b`), regexp.MustCompile(`(?i)\b(in|takes?|no|only) place\b|//\s*place\b`),
		[]string{"broker/controller", "examples"},
	},
	"note": {
		regexp.MustCompile(`(?i)\bnote[sd]?\b`), regexp.MustCompile(`Version notes|noted as`),
		[]string{"checkers/history", "scenarios/trial"},
	},
	"tell": {
		regexp.MustCompile(`(?i)\btells? (\w+ ){1,6}(apart|from)\b|\b(cannot|can) tell\b`), regexp.MustCompile(`$^`), nil,
	},
}

// grandfathered are names that stay: they are in formats that are read elsewhere.
var grandfathered = map[string]string{
	"reports.Who": "the field \"who\" of a report's story",
}

func TestWords_TextsSayWhatTheyMean(t *testing.T) {
	for _, text := range texts(t) {
		for _, b := range bannedText {
			if found := b.form.FindString(text.text); found != "" {
				t.Errorf("%s: %q in %q\n\tinstead: %s", text.at, found, text.text, b.instead)
			}
		}
	}
}

func TestWords_CommentsSayWhatTheyMean(t *testing.T) {
	for _, file := range sources(t) {
		if file.test {
			continue
		}
		for _, group := range file.syntax.Comments {
			for _, c := range group.List {
				for _, word := range badComment(c.Text, file.folder) {
					t.Errorf("%v: %q in %q: it means here %s; else say %s", file.fset.Position(c.Pos()), word, c.Text, oneMeaning[word].meaning, oneMeaning[word].instead)
				}
			}
		}
	}
}

// badComment are the words of the table that a line of a comment uses in another meaning.
func badComment(line, folder string) (words []string) {
	for word, c := range inComments {
		if !anyWithin(folder, c.folders) && c.form.MatchString(c.idioms.ReplaceAllString(line, "")) {
			words = append(words, word)
		}
	}
	return words
}

func TestWords_NamesSayWhatTheyMean(t *testing.T) {
	seen := map[string]bool{}
	for _, file := range sources(t) {
		ast.Inspect(file.syntax, func(n ast.Node) bool {
			id, ok := n.(*ast.Ident)
			if !ok || seen[file.path+id.Name] {
				return true
			}
			seen[file.path+id.Name] = true
			if _, stays := grandfathered[file.syntax.Name.Name+"."+id.Name]; stays || id.Name == "Who" && (within(file.folder, "scenarios/trial") || within(file.folder, "reports")) {
				return true
			}
			complaints := badWords(id.Name, file.folder)
			if file.test { // tests may play several parts in one folder
				complaints = bannedWords(id.Name)
			}
			for _, complaint := range complaints {
				t.Errorf("%v: %s: %s", file.fset.Position(id.Pos()), id.Name, complaint)
			}
			return true
		})
	}
}

// badWords is what is wrong with an identifier in a folder.
func badWords(name, folder string) (complaints []string) {
	complaints = bannedWords(name)
	for _, word := range wordsOf(name) {
		if m, ok := oneMeaning[word]; ok && !anyWithin(folder, m.folders) {
			complaints = append(complaints, fmt.Sprintf("%s means here: %s; else say %s", word, m.meaning, m.instead))
		}
	}
	return complaints
}

// bannedWords is what is wrong with an identifier in any folder.
func bannedWords(name string) (complaints []string) {
	for _, word := range wordsOf(name) {
		if instead, bad := bannedNames[word]; bad {
			complaints = append(complaints, fmt.Sprintf("say %s", instead))
		}
	}
	return complaints
}

// wordsOf splits an identifier: tellLeader is tell and leader, HWAt is hw and at.
func wordsOf(name string) (words []string) {
	rs := []rune(name)
	begin := 0
	cut := func(end int) {
		if w := strings.Trim(strings.ToLower(string(rs[begin:end])), "_"); w != "" {
			words = append(words, w)
		}
		begin = end
	}
	for i := 1; i < len(rs); i++ {
		lowerToUpper := unicode.IsUpper(rs[i]) && !unicode.IsUpper(rs[i-1])
		endOfAcronym := unicode.IsUpper(rs[i-1]) && unicode.IsUpper(rs[i]) && i+1 < len(rs) && unicode.IsLower(rs[i+1])
		if lowerToUpper || endOfAcronym || rs[i] == '_' {
			cut(i)
		}
	}
	cut(len(rs))
	return words
}

// text is a comment, a string of a program, or a line of a document.
type text struct{ at, text string }

// texts are all that people read, of Go files that are no tests and of documents.
func texts(t *testing.T) (all []text) {
	for _, file := range sources(t) {
		if file.test {
			continue
		}
		for _, group := range file.syntax.Comments {
			for _, c := range group.List {
				all = append(all, text{file.fset.Position(c.Pos()).String(), c.Text})
			}
		}
		for _, s := range literals(file) {
			if value, err := strconv.Unquote(s.Value); err == nil {
				all = append(all, text{file.fset.Position(s.Pos()).String(), value})
			}
		}
	}
	for _, document := range documents(t) {
		for i, line := range strings.Split(readText(t, document), "\n") {
			all = append(all, text{fmt.Sprintf("%s:%d", document, i+1), line})
		}
	}
	return all
}

// literals are the strings of a file that are neither imports nor tags.
func literals(file source) (all []*ast.BasicLit) {
	ast.Inspect(file.syntax, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ImportSpec:
			return false
		case *ast.Field:
			n.Tag = nil // each test parses files of its own
		case *ast.BasicLit:
			if n.Kind == token.STRING {
				all = append(all, n)
			}
		}
		return true
	})
	return all
}

// documents are the Markdown files of the tree.
func documents(t *testing.T) (all []string) {
	t.Helper()
	err := filepath.WalkDir(".", func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "testdata" || d.Name() == "out" || strings.HasPrefix(d.Name(), ".") && p != "."):
			return filepath.SkipDir
		case strings.HasSuffix(p, ".md"):
			all = append(all, filepath.ToSlash(p))
		}
		return nil
	})
	require.NoError(t, err)
	return all
}

func TestWords_IdentifiersAreSplit(t *testing.T) {
	assert.Equal(t, []string{"tell", "leader"}, wordsOf("tellLeader"))
	assert.Equal(t, []string{"to", "hw", "at"}, wordsOf("toHWAt"))
	assert.Equal(t, []string{"log", "watch", "s"}, wordsOf("Log_watch_s"))
	assert.Equal(t, []string{"replace"}, wordsOf("replace"))
}

// What the tests above refuse, they were seen to refuse.
func TestWords_BannedFormsAreFound(t *testing.T) {
	for _, bad := range []string{
		"// Who asks again waits for the same end.", "nobody leads", "a task wakes by himself", "what befell the cluster",
		"the nemesis spares the power of it", "the invariants of the cluster",
	} {
		assert.True(t, slices.ContainsFunc(bannedText, func(b bannedForm) bool { return b.form.MatchString(bad) }), bad)
	}
	for _, good := range []string{"a batch whose answer was lost", "Invariant: Match < Next", "the whole", "there", "spare memory"} {
		assert.False(t, slices.ContainsFunc(bannedText, func(b bannedForm) bool { return b.form.MatchString(good) }), good)
	}
	assert.Len(t, badWords("writeSpared", "reports"), 1)
	assert.Len(t, badWords("startWatch", "sim"), 1)
	assert.Empty(t, badWords("watchers", "broker/replica"))
	assert.Empty(t, badWords("tellLeader", "broker/controller"))
	assert.Len(t, badWords("tellLeader", "checkers/detect"), 1)
	assert.Equal(t, []string{"place"}, badComment("// it goes to another place of the file", "sim/disk"))
	assert.Equal(t, []string{"note"}, badComment("// heard notes a heartbeat", "broker/controller"))
	assert.Equal(t, []string{"tell"}, badComment("// the digest tells two batches apart", "broker/witness"))
	assert.Empty(t, badComment("// batches are rewritten in place", "broker/log"))
	assert.Empty(t, badComment("// replicas are placed on brokers", "broker/controller"))
}
