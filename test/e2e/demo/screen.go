package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/term"
)

// width is the maximum length of a line, in characters.
const width = 100

// A style is how a terminal shows text: the number of its escape sequence.
type style string

const (
	bold   style = "1"
	dim    style = "2"
	red    style = "1;31"
	green  style = "32"
	yellow style = "1;33"
	cyan   style = "36"
)

// screen prints. It never fails: when its reader has gone, the signal for that ends the demo.
type screen struct {
	out      io.Writer
	terminal bool
	colored  bool
	busyLine bool
}

func newScreen(file *os.File) *screen {
	terminal := term.IsTerminal(int(file.Fd()))
	return &screen{out: file, terminal: terminal, colored: terminal && os.Getenv("NO_COLOR") == ""}
}

func (s *screen) line(text string) {
	if s.busyLine {
		_, _ = fmt.Fprint(s.out, "\r\x1b[K")
		s.busyLine = false
	}
	_, _ = fmt.Fprintln(s.out, text)
}

// busy shows, on a terminal, what the demo waits for. The next line replaces it.
func (s *screen) busy(text string) {
	if s.terminal && !s.busyLine {
		_, _ = fmt.Fprint(s.out, s.paint(dim, "  … "+text))
		s.busyLine = true
	}
}

// paint shows text in a style where there is color.
func (s *screen) paint(with style, text string) string {
	if !s.colored || text == "" {
		return text
	}
	return "\x1b[" + string(with) + "m" + text + "\x1b[0m"
}

// heading opens a step with a ruler across the screen.
func (s *screen) heading(number, title string) {
	text := "── " + number + title + " "
	s.line("")
	s.line(s.paint(bold, text+strings.Repeat("─", max(0, width-utf8.RuneCountInString(text)))))
}

// say prints a paragraph.
func (s *screen) say(text string) {
	for _, line := range wrap(text, width) {
		s.line(line)
	}
}

// command prints the command of a user. A long command continues in the next line, as in a shell.
func (s *screen) command(arguments ...string) {
	s.line("")
	for i, line := range wrapCommand(arguments, width-len("  $ ")) {
		prompt := "  $ "
		if i > 0 {
			prompt = "      "
		}
		s.line(prompt + s.paint(cyan, line))
	}
}

// output prints the output of a command. Only lines that are too long are wrapped.
func (s *screen) output(lines ...string) {
	for _, line := range lines {
		if utf8.RuneCountInString(line) <= width-2 {
			s.line("  " + line)
			continue
		}
		for _, part := range wrap(line, width-2) {
			s.line("  " + part)
		}
	}
}

// clipped is output for lines of which the beginning suffices.
func (s *screen) clipped(lines ...string) {
	for _, line := range lines {
		if runes := []rune(line); len(runes) > width-2 {
			line = string(runes[:width-3]) + "…"
		}
		s.line("  " + line)
	}
}

// remark prints a remark between the outputs of commands.
func (s *screen) remark(text string) { s.line("  " + s.paint(dim, text)) }

// done reports that something came out as announced.
func (s *screen) done(sentence string) {
	s.mark(s.paint(green, "✓"), sentence)
}

// failed reports that something did not.
func (s *screen) failed(sentence string) {
	s.mark(s.paint(red, "✗"), sentence)
}

func (s *screen) mark(mark, sentence string) {
	for i, line := range wrap(sentence, width-len("  ✓")) {
		if i > 0 {
			mark = " "
		}
		s.line("  " + mark + " " + line)
	}
}

// wrap breaks text into lines of at most limit characters; its own line breaks stay.
func wrap(text string, limit int) []string {
	var lines []string
	for _, paragraph := range strings.Split(text, "\n") {
		line := ""
		for _, word := range strings.Fields(paragraph) {
			if line != "" && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > limit {
				lines, line = append(lines, line), ""
			}
			line = strings.TrimPrefix(line+" "+word, " ")
		}
		lines = append(lines, line)
	}
	return lines
}

// wrapCommand quotes arguments for a shell and breaks the command into lines between them.
func wrapCommand(arguments []string, limit int) []string {
	const continued = ` \`
	var lines []string
	line := ""
	for _, argument := range arguments {
		quoted := quote(argument)
		if line != "" && len(line)+1+len(quoted)+len(continued) > limit {
			lines, line = append(lines, line+continued), ""
		}
		line = strings.TrimPrefix(line+" "+quoted, " ")
	}
	return append(lines, line)
}

// quote quotes an argument if a shell would not take it as it is. None of ours holds a single
// quote.
func quote(argument string) string {
	if strings.ContainsAny(argument, ` "{}[]*$&|;<>()`) {
		return "'" + argument + "'"
	}
	return argument
}

// seconds formats a duration for readers.
func seconds(duration time.Duration) string {
	if duration < time.Second {
		return fmt.Sprintf("%.2f s", duration.Seconds())
	}
	return fmt.Sprintf("%.1f s", duration.Seconds())
}
