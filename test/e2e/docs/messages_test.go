package docs_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/netbaseline/netbaseline/test/utils/harness"
)

// rooms are the packages that put words into a status or an event.
var rooms = []string{"controllers", "internal/governance", "internal/apply", "internal/policy"}

// hole is what stands for a value in a template. No message holds it.
const hole = "\x00"

// quoted is a message that a page quotes, with <…> for values.
type quoted struct {
	at, text string
}

func quotedMessages(t *testing.T) (found []quoted) {
	t.Helper()
	for path, page := range allPages(t) {
		for i := range page.Blocks {
			if block := &page.Blocks[i]; block.Marked(message) {
				found = append(found, quoted{fmt.Sprintf("%s:%d", path, block.Line), strings.TrimSpace(block.Text)})
			}
		}
	}
	if len(found) == 0 {
		t.Fatal("no page quotes a message")
	}
	return found
}

// A quoted message is one that the code can say, word for word, or one that a test below makes a
// live cluster say.
func TestEveryMessageIsSaid(t *testing.T) {
	speech := newSpeech(t)
	said := map[string]bool{}
	for _, message := range quotedMessages(t) {
		said[message.text] = true
		if causes[message.text] == nil && !speech.MatchString(message.text) {
			t.Errorf("%s: nothing in %s says this, and no test brings it about:\n%s", message.at, strings.Join(rooms, ", "), message.text)
		}
	}
	for text := range causes {
		if !said[text] {
			t.Errorf("a test brings this about, and no page quotes it:\n%s", text)
		}
	}
}

func TestTheCheckOfMessagesIsStrict(t *testing.T) {
	speech := newSpeech(t)
	for text, want := range map[string]bool{
		"<n> of <n namespaces> not protected":                                                                      true,
		"<n> of <n namespaces> not protected; <namespace>: QuotaExceeded: <message>":                               true,
		"<n namespaces> protected; <n> contested, such as <namespace>: another client keeps changing its policies": true,
		"<n> of <n namespaces> are not protected":                                                                  false,
		"<n> of <n namespaces> not protected; <namespace>: QuotaExeeded: <message>":                                false,
		"<n> of shop not protected":                                                                                false,
		"":                                                                                                         false,
		"<message>":                                                                                                false,
	} {
		if got := speech.MatchString(text); got != want {
			t.Errorf("%q: got %t, want %t", text, got, want)
		}
	}
}

// newSpeech returns an expression for everything that the code can say: one template after the
// other, whose values are <…>, a reason, or another template.
func newSpeech(t *testing.T) *regexp.Regexp {
	t.Helper()
	templates := templatesOf(t)
	if len(templates) < 30 {
		t.Fatalf("there are only %d templates", len(templates))
	}
	value := "(?:<[^<>]+>|" + strings.Join(reasons(t), "|") + ")"
	simple := alternatives(templates, value)
	nested := alternatives(templates, "(?:"+value+"|"+simple+")")
	return regexp.MustCompile("^" + nested + "(?:(?:; )?" + nested + ")*$")
}

func alternatives(templates []string, value string) string {
	var patterns []string
	for _, template := range templates {
		patterns = append(patterns, strings.ReplaceAll(regexp.QuoteMeta(template), hole, value))
	}
	return "(?:" + strings.Join(patterns, "|") + ")"
}

// reasons are the words by which the API calls conditions and failures.
func reasons(t *testing.T) []string {
	t.Helper()
	var words []string
	inspect(t, "api/v1alpha1", func(node ast.Node) bool {
		spec, ok := node.(*ast.ValueSpec)
		if ok && strings.HasPrefix(spec.Names[0].Name, "Reason") && len(spec.Values) == 1 {
			words = append(words, unquote(t, spec.Values[0].(*ast.BasicLit)))
		}
		return true
	})
	return words
}

var verbs = regexp.MustCompile(`%[+#]?[a-z]`)

// templatesOf returns the texts in the rooms' code, with a hole for each value: formats, and texts
// put together with +.
func templatesOf(t *testing.T) (templates []string) {
	t.Helper()
	add := func(template string) {
		template = verbs.ReplaceAllStringFunc(template, func(verb string) string {
			if strings.HasSuffix(verb, "q") {
				return `"` + hole + `"`
			}
			return hole
		})
		if isSpeech(template) && !slices.Contains(templates, template) {
			templates = append(templates, template)
		}
	}
	for _, room := range rooms {
		inspect(t, room, func(node ast.Node) bool {
			switch n := node.(type) {
			case *ast.ImportSpec:
				return false
			case *ast.BinaryExpr:
				text, literal := joined(t, n)
				if literal {
					add(text)
				}
				return !literal
			case *ast.BasicLit:
				if n.Kind == token.STRING {
					add(unquote(t, n))
				}
			}
			return true
		})
	}
	return templates
}

var word = regexp.MustCompile(`[A-Za-z]{2}`)

// isSpeech reports whether a text is more than a name or a lone value: it has several words, or a
// word and a value. What hangs the first failure onto a message has no words.
func isSpeech(template string) bool {
	bare := strings.TrimSpace(strings.ReplaceAll(template, hole, " "))
	return word.MatchString(bare) && (strings.Contains(template, hole) || strings.Contains(bare, " ")) || strings.HasPrefix(template, "; ")
}

// joined returns what an expression says, and whether there is a text of its own in it.
func joined(t *testing.T, expression ast.Expr) (text string, literal bool) {
	t.Helper()
	switch e := expression.(type) {
	case *ast.BasicLit:
		if e.Kind == token.STRING {
			return unquote(t, e), true
		}
	case *ast.BinaryExpr:
		if e.Op == token.ADD {
			left, l := joined(t, e.X)
			right, r := joined(t, e.Y)
			return left + right, l || r
		}
		return "", false
	}
	return hole, false
}

func unquote(t *testing.T, literal *ast.BasicLit) string {
	t.Helper()
	text, err := strconv.Unquote(literal.Value)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// inspect visits the code of a package, without its tests.
func inspect(t *testing.T, room string, visit func(ast.Node) bool) {
	t.Helper()
	err := filepath.WalkDir(harness.RepositoryPath(room), func(path string, _ fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(file, visit)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
