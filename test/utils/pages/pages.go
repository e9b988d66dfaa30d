// Package pages reads the pages of the documentation: their code blocks, headings and links. It
// runs and judges nothing itself.
//
// The words after the language of a block tell a test what to do with it; CONTRIBUTING.md explains
// them to writers.
package pages

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
)

// Page is one page.
type Page struct {
	Path     string
	Blocks   []Block
	Headings []string
	Links    []Link
}

// Block is a fenced block of code.
type Block struct {
	// Line is that of the first line inside.
	Line int
	// Heading is the last one before the block.
	Heading string
	// Language is the first word of the info string, and Marks are the others.
	Language string
	Marks    []string
	Text     string
}

// Link is a link to another place.
type Link struct {
	Line   int
	Target string
}

// Marked reports whether the block carries a mark.
func (b *Block) Marked(mark string) bool { return slices.Contains(b.Marks, mark) }

var linkTarget = regexp.MustCompile(`\]\(([^)\s]+)\)`)

// Read reads a page from a file.
func Read(path string) (*Page, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	page, err := Parse(string(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	page.Path = path
	return page, nil
}

// Parse reads a page. A block may be indented, as in a list; then so are its lines.
func Parse(text string) (*Page, error) {
	page := &Page{}
	var block *Block
	indent, heading, number := "", "", 0
	for line := range strings.Lines(text) {
		number++
		bare := strings.TrimLeft(line, " ")
		info, fence := strings.CutPrefix(strings.TrimRight(bare, "\n"), "```")
		switch {
		case fence && block != nil:
			page.Blocks = append(page.Blocks, *block)
			block = nil
		case fence:
			words := append(strings.Fields(info), "")
			block = &Block{Line: number + 1, Heading: heading, Language: words[0], Marks: slices.Clip(words[1:max(1, len(words)-1)])}
			indent = line[:len(line)-len(bare)]
		case block != nil:
			block.Text += strings.TrimPrefix(line, indent)
		case strings.HasPrefix(line, "#"):
			heading = strings.TrimSpace(strings.TrimLeft(line, "#"))
			page.Headings = append(page.Headings, heading)
		default:
			for _, match := range linkTarget.FindAllStringSubmatch(line, -1) {
				page.Links = append(page.Links, Link{Line: number, Target: match[1]})
			}
		}
	}
	if block != nil {
		return nil, fmt.Errorf("the block that begins at line %d does not end", block.Line)
	}
	return page, nil
}

var notInAnchors = regexp.MustCompile(`[^\p{L}\p{N}\- _]`)

// Anchor returns the anchor that GitHub gives a heading. Of several headings with the same text it
// returns that of the first.
func Anchor(heading string) string {
	return strings.ReplaceAll(notInAnchors.ReplaceAllString(strings.ToLower(heading), ""), " ", "-")
}
