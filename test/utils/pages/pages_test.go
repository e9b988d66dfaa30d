package pages_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netbaseline/netbaseline/test/utils/pages"
)

const page = "# One\n\nSee [two](two.md#b) and [three](https://example.com).\n\n" +
	"```sh runnable refused\n# no heading, no [link](inside.md)\nkubectl get cnb\n```\n\n" +
	"## `Two`: it's here\n\n- in a list:\n\n  ```yaml\n  a:\n    b: 1\n  ```\n\n```\nplain\n```\n"

func TestAPageIsReadAsItIsShown(t *testing.T) {
	t.Parallel()
	got, err := pages.Parse(page)
	if err != nil {
		t.Fatal(err)
	}
	want := &pages.Page{
		Headings: []string{"One", "`Two`: it's here"},
		Links:    []pages.Link{{Line: 3, Target: "two.md#b"}, {Line: 3, Target: "https://example.com"}},
		Blocks: []pages.Block{
			{
				Line: 6, Heading: "One", Language: "sh", Marks: []string{"runnable", "refused"},
				Text: "# no heading, no [link](inside.md)\nkubectl get cnb\n",
			},
			{Line: 15, Heading: "`Two`: it's here", Language: "yaml", Marks: []string{}, Text: "a:\n  b: 1\n"},
			{Line: 20, Heading: "`Two`: it's here", Marks: []string{}, Text: "plain\n"},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestABlockHasToEnd(t *testing.T) {
	t.Parallel()
	if _, err := pages.Parse("```sh\nkubectl get cnb\n"); err == nil {
		t.Error("it is accepted")
	}
}

func TestAnchorsAreThoseOfGitHub(t *testing.T) {
	t.Parallel()
	for heading, want := range map[string]string{
		"A first baseline":                   "a-first-baseline",
		"`Two`: it's here":                   "two-its-here",
		"policy.netbaseline.dev/v1alpha1":    "policynetbaselinedevv1alpha1",
		"kube_proxy, or who governs?":        "kube_proxy-or-who-governs",
		"DNS fails – everywhere, at 3 a.m.":  "dns-fails--everywhere-at-3-am",
		"Enforce → Audit does not open much": "enforce--audit-does-not-open-much",
	} {
		if got := pages.Anchor(heading); got != want {
			t.Errorf("%q is %q, want %q", heading, got, want)
		}
	}
}
