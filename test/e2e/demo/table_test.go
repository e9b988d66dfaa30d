package main

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/netbaseline/netbaseline/test/utils/reachability"
)

func TestCell(t *testing.T) {
	w := way{"shop", "billing"}
	yes, no, unknown := reach{w: true}, reach{w: false}, reach{}
	tests := map[string]struct {
		moments []reach
		want    string
	}{
		"what stays as it was is shown once": {[]reach{yes, yes, yes}, "●"},
		"what changes shows both":            {[]reach{yes, no}, "●→·"},
		"what comes back shows the hole":     {[]reach{no, yes, no}, "·→●→·"},
		"what was not there has no past":     {[]reach{unknown, no}, "·"},
		"what cannot be asked is empty":      {[]reach{unknown, unknown}, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := cell(test.moments, w); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestWidestTableFitsTheScreen(t *testing.T) {
	world := reachability.World{Namespaces: map[string]map[string]string{"kube-system": nil}}
	for _, name := range cast {
		world.Namespaces[name] = map[string]string{"environment": "development"}
	}
	before, between := look(world), reach{}
	for w := range before {
		between[w] = false
	}
	var out strings.Builder
	screen := &screen{out: &out}
	screen.table(environmentsIn(world), before, between, before)
	for line := range strings.Lines(out.String()) {
		if characters := utf8.RuneCountInString(line) - 1; characters > width {
			t.Errorf("%d characters: %s", characters, line)
		}
	}
}

func TestAbridge(t *testing.T) {
	lines := []string{"NAMESPACE NAME AGE"}
	for _, namespace := range []string{"billing", "preview", "shop"} {
		for _, name := range usual {
			lines = append(lines, namespace+" "+name+" 1s")
		}
	}
	t.Run("namespaces with the usual three are left out", func(t *testing.T) {
		shown, left, others := abridge(lines, []string{"shop"})
		if want := slices.Concat(lines[:1], lines[7:]); !slices.Equal(shown, want) {
			t.Error(cmp.Diff(want, shown))
		}
		if want := "the same three in each of billing, preview"; left != 6 || others != want {
			t.Errorf("left %d, others %q", left, others)
		}
	})
	t.Run("a namespace that holds anything else is shown", func(t *testing.T) {
		unusual := append(slices.Clone(lines), "qa own-policy 1s")
		shown, _, _ := abridge(unusual, nil)
		if want := []string{lines[0], "qa own-policy 1s"}; !slices.Equal(shown, want) {
			t.Error(cmp.Diff(want, shown))
		}
	})
	t.Run("nothing to list", func(t *testing.T) {
		if shown, left, _ := abridge([]string{"No resources found"}, nil); len(shown) != 1 || left != 0 {
			t.Errorf("shown %q, left %d", shown, left)
		}
	})
}

func TestLongCommandsGoOnInTheNextLine(t *testing.T) {
	got := wrapCommand([]string{"kubectl", "patch", "netpol", "-p", `{"spec":{"ingress":[{}]}}`}, 40)
	want := []string{`kubectl patch netpol -p \`, `'{"spec":{"ingress":[{}]}}'`}
	if !slices.Equal(got, want) {
		t.Error(cmp.Diff(want, got))
	}
}
