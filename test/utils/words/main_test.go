package main

import "testing"

func TestWhatIsRefused(t *testing.T) {
	t.Parallel()
	rules := parseRules("# Page\n\n## Words\n\n| not | instead |\n|---|---|\n| `up and away`, `gizmo` | \"gone\" |\n\n## Next\n\n| `fine` | \"x\" |\n")
	tests := map[string]struct {
		path, source string
		want         int // line of the only finding; 0 for none
	}{
		"in a comment":                    {"a.go", "package a\n\n// A gizmo.\n", 3},
		"in a string":                     {"a.go", "package a\n\nconst a = \"Gizmo\"\n", 3},
		"in a page":                       {"a.md", "one\ngizmo\n", 2},
		"across two lines of a comment":   {"a.go", "package a\n\n\t// It goes up\n\t// and away.\n", 3},
		"across two lines of a page":      {"a.md", "It goes up\nand away.\n", 1},
		"not as a name":                   {"a.go", "package a\n\nvar gizmo = 1\n", 0},
		"not as a part of a word":         {"a.md", "gizmos\n", 0},
		"not across lines that are apart": {"a.go", "package a\n\n// It goes up\n\nvar b = 1\n\n// and away.\n", 0},
		"not in the table itself":         {guide, "| `gizmo` | \"gone\" |\n", 0},
		"not what another table lists":    {"a.md", "fine\n", 0},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := inspect(rules, test.path, test.source)
			switch {
			case test.want == 0 && len(got) > 0, test.want > 0 && (len(got) != 1 || got[0].line != test.want):
				t.Errorf("got %+v, want a finding in line %d", got, test.want)
			case test.want > 0 && got[0].replacement != `"gone"`:
				t.Errorf("the replacement is %s", got[0].replacement)
			}
		})
	}
}
