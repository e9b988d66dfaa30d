package docs_test

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	. "github.com/onsi/gomega"

	"github.com/netbaseline/netbaseline/test/utils/pages"
)

// Marks of blocks. CONTRIBUTING.md explains them.
const (
	runnable = "runnable" // sh: is run; yaml: is applied
	refused  = "refused"  // next to runnable: must not succeed
	output   = "output"   // text: what the block before prints
	message  = "message"  // text: a message in a status or in an event
)

// marksOf says which marks a block may carry, by its language.
var marksOf = map[string][]string{"sh": {runnable, refused}, "yaml": {runnable}, "text": {output, message}}

func TestEveryMarkIsKnown(t *testing.T) {
	for path, page := range allPages(t) {
		for i := range page.Blocks {
			block := &page.Blocks[i]
			for _, mark := range block.Marks {
				if !slices.Contains(marksOf[block.Language], mark) {
					t.Errorf("%s:%d: no test knows a %s block marked %q", path, block.Line, block.Language, mark)
				}
			}
		}
	}
}

// walkthroughs are the pages that have to be runnable: readers follow them word for word.
var walkthroughs = []string{"README.md", "docs/quickstart.md", "docs/concepts.md", "docs/operating.md", "docs/security.md", "docs/gitops.md"}

func TestWhatThePagesTellToRunWorks(t *testing.T) {
	all := allPages(t)
	for _, path := range walkthroughs {
		if all[path] == nil || !slices.ContainsFunc(all[path].Blocks, func(b pages.Block) bool { return b.Marked(runnable) }) {
			t.Errorf("%s has nothing to run", path)
		}
	}
	for _, path := range slices.Sorted(maps.Keys(all)) {
		page := all[path]
		if !slices.ContainsFunc(page.Blocks, func(b pages.Block) bool { return b.Marked(runnable) }) {
			continue
		}
		t.Run(path, func(t *testing.T) {
			tidy(t)
			follow(t, page)
		})
	}
}

// follow runs a page from top to bottom.
func follow(t *testing.T, page *pages.Page) {
	printed := ""
	for i := range page.Blocks {
		block := &page.Blocks[i]
		at := fmt.Sprintf("%s:%d", page.Path, block.Line)
		switch {
		case block.Marked(output) && i > 0 && page.Blocks[i-1].Marked(refused):
			continue // looked at with the refusal
		case block.Marked(output):
			if diff := compare(block.Text, printed); diff != "" {
				t.Fatalf("%s: the block before prints something else (-page +printed):\n%s", at, diff)
			}
		case block.Marked(refused):
			mustBeRefused(t, at, block.Text, followedBy(page, i))
		case block.Marked(runnable) && block.Language == "yaml":
			printed = apply(t, at, block.Text)
		case block.Marked(runnable):
			printed = runUntil(t, at, block.Text, followedBy(page, i))
		}
	}
}

// followedBy returns the output that the page shows behind a block, "" if it shows none.
func followedBy(page *pages.Page, i int) string {
	if i+1 < len(page.Blocks) && page.Blocks[i+1].Marked(output) {
		return page.Blocks[i+1].Text
	}
	return ""
}

// runUntil runs a block. If it only reads, it is run again until it prints what the page shows: a
// reader, too, looks twice.
func runUntil(t *testing.T, at, script, shown string) (printed string) {
	t.Helper()
	g := newGomega(t)
	if shown == "" || !onlyReads(script) {
		ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
		defer cancel()
		printed, err := shell(ctx, script)
		if err != nil {
			t.Fatalf("%s: %v", at, err)
		}
		return printed
	}
	g.Eventually(func() (err error) {
		if printed, err = shell(t.Context(), script); err != nil {
			return err
		}
		if diff := compare(shown, printed); diff != "" {
			return fmt.Errorf("%s: the block before prints something else (-page +printed):\n%s", at, diff)
		}
		return nil
	}).Should(Succeed())
	return printed
}

func onlyReads(script string) bool {
	for line := range strings.Lines(script) {
		words := strings.Fields(line)
		if len(words) > 1 && words[0] == "kubectl" && !slices.Contains([]string{"get", "describe", "events", "explain", "auth", "diff"}, words[1]) {
			return false
		}
	}
	return true
}

func apply(t *testing.T, at, manifest string) string {
	t.Helper()
	printed, err := environment.KubectlWithInput(t.Context(), manifest, "apply", "--filename=-")
	if err != nil {
		t.Fatalf("%s: %v", at, err)
	}
	return printed
}

// mustBeRefused runs a block until it is refused with the words that the page shows: a guard that
// was just put up takes a moment to be in force.
func mustBeRefused(t *testing.T, at, script, words string) {
	t.Helper()
	if strings.TrimSpace(words) == "" {
		t.Fatalf("%s: the page does not show what is said; without that, any refusal would do", at)
	}
	newGomega(t).Eventually(func() error {
		printed, err := shell(t.Context(), script)
		if err == nil || !strings.Contains(err.Error(), strings.TrimSpace(words)) {
			return fmt.Errorf("%s: it is not refused with %q: %s%w", at, words, printed, err)
		}
		return nil
	}).Should(Succeed())
}

var (
	// ages are what kubectl says about how long ago something was.
	ages = regexp.MustCompile(`^(\d+[smhdy])+$`)
	gaps = regexp.MustCompile(`\s{2,}|\t`)
)

// compare says how two outputs differ, apart from ages and the width of columns. A line … on the
// page stands for any number of lines.
func compare(shown, printed string) string {
	want, got := cells(shown), cells(printed)
	if at := slices.IndexFunc(want, func(line []string) bool { return len(line) == 1 && line[0] == "…" }); at >= 0 {
		head, tail := want[:at], want[at+1:]
		if len(got) < len(head)+len(tail) {
			return cmp.Diff(want, got)
		}
		want, got = slices.Concat(head, tail), slices.Concat(got[:at], got[len(got)-len(tail):])
	}
	return cmp.Diff(want, got)
}

func cells(text string) (lines [][]string) {
	for line := range strings.Lines(strings.Trim(text, "\n")) {
		row := gaps.Split(strings.TrimSpace(line), -1)
		for i := range row {
			if ages.MatchString(row[i]) {
				row[i] = "<age>"
			}
		}
		lines = append(lines, row)
	}
	return lines
}

func TestCompare(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		shown, printed string
		same           bool
	}{
		"the same":                       {"a  b\nc  d\n", "a  b\nc  d\n", true},
		"other widths and another age":   {"NAME  AGE\na     3d\n", "NAME      AGE\na         2m10s\n", true},
		"another word":                   {"a  b\n", "a  c\n", false},
		"a line is missing":              {"a\nb\n", "a\n", false},
		"a line too many":                {"a\n", "a\nb\n", false},
		"lines that are left out":        {"a\n…\nd\n", "a\nb\nc\nd\n", true},
		"another line after those":       {"a\n…\nd\n", "a\nb\nc\n", false},
		"fewer lines than are not left":  {"a\nb\n…\nb\nc\n", "a\nb\nc\n", false},
		"words apart by one space":       {"a b\n", "a  b\n", false},
		"an age in the middle of a line": {"42 namespaces  3d  x\n", "42 namespaces  5s  x\n", true},
	}
	for name, test := range tests {
		if got := compare(test.shown, test.printed) == ""; got != test.same {
			t.Errorf("%s: got %t, want %t", name, got, test.same)
		}
	}
}
