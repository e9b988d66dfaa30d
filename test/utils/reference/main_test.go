package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const repository = "../../.."

func TestThePagesAreCurrent(t *testing.T) {
	t.Parallel()
	pages, err := render(repository)
	if err != nil {
		t.Fatal(err)
	}
	if len(pages) == 0 {
		t.Fatal("there are no pages")
	}
	for name, want := range pages {
		got, err := os.ReadFile(filepath.Join(repository, name))
		if err != nil {
			t.Errorf("%v: make docs writes it", err)
			continue
		}
		if diff := cmp.Diff(want, string(got)); diff != "" {
			t.Errorf("%s is not current; make docs writes it (-want +got):\n%s", name, diff)
		}
	}
}

const someConstants = `package v1alpha1

// Types of condition.
const (
	// ConditionReady is True when all is well.
	// It is read by kubectl.
	// Source: https://example.com
	ConditionReady = "Ready"
)

// Reasons of the conditions.
const (
	// ReasonSlow means that it takes a | while.
	ReasonSlow = "Slow"
)

// Reasons of events.
const (
	// EventRepaired is on a policy: another client had changed it.
	EventRepaired = "Repaired"
)
`

const someNames = `package v1alpha1

// Labels.
const (
	// TeamLabel is a label.
	TeamLabel = "example.com/team"
)
`

const someEvents = `package controllers

var damage = map[string]string{
	"create": "Another client deleted this policy",
	"update": "Another client changed this policy",
}

func (a *announcer) repaired(written *apply.Written) {
	a.recorder.Eventf(policyReference(written.Object), nil, corev1.EventTypeNormal, v1alpha1.EventRepaired, "Repair", "%s in %s, label %s", damage[written.Operation], namespace, v1alpha1.TeamLabel)
}
`

func TestAPageSaysWhatTheCommentsSay(t *testing.T) {
	t.Parallel()
	pages, err := render(tree(t, someConstants, someEvents))
	if err != nil {
		t.Fatal(err)
	}
	for page, lines := range map[string][]string{
		"docs/reference/conditions.md": {
			"## Types of condition\n", "| `Ready` | True when all is well. It is read by kubectl. |\n",
			"## Reasons of the conditions\n", "| `Slow` | It takes a \\| while. |\n",
		},
		"docs/reference/events.md": {
			"| `Repaired` | NetworkPolicy | Normal | Another client had changed it. | `Another client deleted this policy in <namespace>, label example.com/team`<br>`Another client changed this policy in <namespace>, label example.com/team` |\n",
		},
	} {
		for _, line := range lines {
			if !strings.Contains(pages[page], line) {
				t.Errorf("%s does not say %q:\n%s", page, line, pages[page])
			}
		}
	}
}

func TestWhatCannotBeDocumentedIsAnError(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ constants, events, want string }{
		"a comment without the constant's name": {strings.Replace(someConstants, "// ReasonSlow means", "// It says", 1), someEvents, "ReasonSlow"},
		"an event that is never written": {
			strings.Replace(someConstants, `"Repaired"`, "\"Repaired\"\n\t// EventLost is on a policy: x.\n\tEventLost = \"Lost\"", 1), someEvents, "the event EventLost is never written",
		},
		"an event that the API does not know": {someConstants, strings.Replace(someEvents, "v1alpha1.EventRepaired", "v1alpha1.EventOther", 1), "the event EventRepaired is never written"},
		"an event that is written twice":      {someConstants, someEvents + strings.Replace(functionsOf(someEvents), "repaired(", "again(", 1), "two places"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := render(tree(t, test.constants, test.events)); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want it to say %q", err, test.want)
			}
		})
	}
}

// tree lays out sources as in the repository.
func tree(t *testing.T, constants, events string) string {
	t.Helper()
	root := t.TempDir()
	for path, text := range map[string]string{
		"api/v1alpha1/conditions.go": constants, "api/v1alpha1/names.go": someNames, "controllers/events.go": events,
	} {
		if err := os.MkdirAll(filepath.Join(root, filepath.Dir(path)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, path), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// functionsOf returns a source without what comes before its first function.
func functionsOf(source string) string {
	_, functions, _ := strings.Cut(source, "func")
	return "func" + functions
}
