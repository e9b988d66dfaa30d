// Command reference writes the pages of docs/reference that come from our own code: conditions and
// reasons from the constants of the API package, and events from those and from the calls that
// write them. It reads the source and never runs it.
package main

import (
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: reference DIRECTORY-OF-THE-REPOSITORY")
		os.Exit(2)
	}
	if err := write(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// write writes every page.
func write(root string) error {
	pages, err := render(root)
	if err != nil {
		return err
	}
	for name, text := range pages {
		if err := os.WriteFile(filepath.Join(root, filepath.FromSlash(name)), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// render returns every page, by its path in the repository.
func render(root string) (map[string]string, error) {
	groups, err := constants(filepath.Join(root, "api", "v1alpha1", "conditions.go"))
	if err != nil {
		return nil, err
	}
	names, err := constants(filepath.Join(root, "api", "v1alpha1", "names.go"))
	if err != nil {
		return nil, err
	}
	written, err := announcements(filepath.Join(root, "controllers", "events.go"), names)
	if err != nil {
		return nil, err
	}
	events, err := renderEvents(groups, written)
	if err != nil {
		return nil, err
	}
	return map[string]string{"docs/reference/conditions.md": renderConditions(groups), "docs/reference/events.md": events}, nil
}
