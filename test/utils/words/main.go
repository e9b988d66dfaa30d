// Command words refuses, in Go comments, Go strings and Markdown, the phrases that CONTRIBUTING.md
// lists under "Words", and prints what to write instead.
package main

import (
	"errors"
	"fmt"
	"go/scanner"
	"go/token"
	"os"
	"os/exec"
	"regexp"
	"strings"
)

// guide is the page with the table of phrases: in the first column each in backquotes, in the
// second the replacement.
const guide = "CONTRIBUTING.md"

// rule refuses some phrases.
type rule struct {
	phrases     *regexp.Regexp
	replacement string
}

// finding is a refused phrase.
type finding struct {
	path        string
	line        int
	phrase      string
	replacement string
}

func main() {
	findings, err := check()
	for _, f := range findings {
		fmt.Printf("%s:%d: %q; write %s\n", f.path, f.line, f.phrase, f.replacement)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "words:", err)
	}
	if err != nil || len(findings) > 0 {
		os.Exit(1)
	}
}

func check() ([]finding, error) {
	page, err := os.ReadFile(guide)
	if err != nil {
		return nil, err
	}
	rules := parseRules(string(page))
	if len(rules) == 0 {
		return nil, errors.New(guide + " has no table of phrases")
	}
	listed, err := exec.Command("git", "ls-files", "--", "*.go", "*.md").Output()
	if err != nil {
		return nil, fmt.Errorf("git ls-files: %w", err)
	}
	var findings []finding
	for path := range strings.FieldsSeq(string(listed)) {
		if exempt.MatchString(path) {
			continue
		}
		source, err := os.ReadFile(path)
		if errors.Is(err, os.ErrNotExist) {
			continue // deleted and not committed yet
		}
		if err != nil {
			return nil, err
		}
		findings = append(findings, inspect(rules, path, string(source))...)
	}
	return findings, nil
}

// exempt is what is generated, and the types whose comments are the descriptions of the
// CustomResourceDefinition: those are part of the API.
var exempt = regexp.MustCompile(`zz_generated|^docs/(reference/|performance\.md)|^api/.*_types\.go$|^test/(utils/)?words/`)

// kept is a refused phrase in an annotation on every policy. To change it would write every policy
// of every cluster once.
const kept = "a change is undone " + "at once"

var (
	row    = regexp.MustCompile("(?m)^\\| (`[^|]*`) \\| ([^|]+) \\|$")
	quoted = regexp.MustCompile("`([^`]+)`")
)

func parseRules(page string) []rule {
	_, section, _ := strings.Cut(page, "\n## Words\n")
	section, _, _ = strings.Cut(section, "\n## ")
	var rules []rule
	for _, match := range row.FindAllStringSubmatch(section, -1) {
		var phrases []string
		for _, phrase := range quoted.FindAllStringSubmatch(match[1], -1) {
			phrases = append(phrases, regexp.QuoteMeta(phrase[1]))
		}
		rules = append(rules, rule{regexp.MustCompile(`(?i)\b(?:` + strings.Join(phrases, "|") + `)\b`), strings.TrimSpace(match[2])})
	}
	return rules
}

// text is a line of a comment, a string or a page.
type text struct {
	line    int
	content string
}

// inspect returns the refused phrases of a file. Of a Go file only comments and strings count, of
// the guide all but its table.
func inspect(rules []rule, path, source string) []finding {
	texts := linesOf(path, source)
	if strings.HasSuffix(path, ".go") {
		texts = commentsAndStrings(path, source)
	}
	var findings []finding
	for i, t := range texts {
		next := ""
		if i+1 < len(texts) && texts[i+1].line == t.line+1 {
			next = " " + strings.TrimLeft(texts[i+1].content, "/ \t")
		}
		findings = append(findings, refused(rules, path, t, next)...)
	}
	return findings
}

func linesOf(path, source string) []text {
	var texts []text
	for i, line := range strings.Split(source, "\n") {
		if path != guide || !row.MatchString(line) {
			texts = append(texts, text{i + 1, line})
		}
	}
	return texts
}

func commentsAndStrings(path, source string) []text {
	var s scanner.Scanner
	files := token.NewFileSet()
	s.Init(files.AddFile(path, -1, len(source)), []byte(source), nil, scanner.ScanComments)
	var texts []text
	for {
		position, kind, literal := s.Scan()
		switch kind {
		case token.EOF:
			return texts
		case token.COMMENT, token.STRING:
			for i, line := range strings.Split(literal, "\n") {
				texts = append(texts, text{files.Position(position).Line + i, line})
			}
		}
	}
}

// refused returns the refused phrases that begin in a text; they may end in the next line.
func refused(rules []rule, path string, t text, next string) []finding {
	content := strings.TrimRight(strings.ReplaceAll(t.content, kept, ""), " ")
	var findings []finding
	for _, rule := range rules {
		for _, at := range rule.phrases.FindAllStringIndex(content+next, -1) {
			if at[0] < len(content) {
				findings = append(findings, finding{path, t.line, (content + next)[at[0]:at[1]], rule.replacement})
			}
		}
	}
	return findings
}
