package docs_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/netbaseline/netbaseline/test/utils/harness"
	"github.com/netbaseline/netbaseline/test/utils/pages"
)

func TestEveryLinkLeadsSomewhere(t *testing.T) {
	t.Parallel()
	all := allPages(t)
	followed := 0
	for path, page := range all {
		for _, link := range page.Links {
			if strings.Contains(link.Target, "://") {
				continue // the tests have no network
			}
			followed++
			file, anchor, _ := strings.Cut(link.Target, "#")
			target := filepath.ToSlash(filepath.Join(filepath.Dir(path), file))
			if file == "" {
				target = path
			}
			if _, err := os.Stat(harness.RepositoryPath(target)); err != nil {
				t.Errorf("%s:%d: %s: %v", path, link.Line, link.Target, err)
				continue
			}
			if anchor != "" && (all[target] == nil || !slices.ContainsFunc(all[target].Headings, func(heading string) bool { return pages.Anchor(heading) == anchor })) {
				t.Errorf("%s:%d: %s has no heading #%s", path, link.Line, target, anchor)
			}
		}
	}
	if followed == 0 {
		t.Error("there are no links")
	}
}

// A page without a link to it is not read. A link to a folder, or to its index, is one to all of
// its pages.
func TestTheIndexNamesEveryPage(t *testing.T) {
	t.Parallel()
	all := allPages(t)
	linked := map[string]bool{"docs/README.md": true}
	for _, link := range all["docs/README.md"].Links {
		file, _, _ := strings.Cut(link.Target, "#")
		target := filepath.ToSlash(filepath.Join("docs", file))
		linked[target] = true
		if folder, ok := strings.CutSuffix(target, "/README.md"); ok {
			linked[folder] = true
		}
	}
	for path := range all {
		if strings.HasPrefix(path, "docs/") && !linked[path] && !linked[filepath.ToSlash(filepath.Dir(path))] {
			t.Errorf("docs/README.md does not link to %s", path)
		}
	}
}
