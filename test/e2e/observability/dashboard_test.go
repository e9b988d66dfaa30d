package observability

import (
	"bytes"
	"os/exec"
	"testing"
)

func TestTheDashboardIsWhatTheCodeMakes(t *testing.T) {
	made, err := exec.CommandContext(t.Context(), "go", "run", "./dashboard").Output()
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(made, read(t, "config/grafana/netbaseline.json")) {
		t.Error("config/grafana/netbaseline.json is not what dashboard/ makes: run `make dashboards`")
	}
}

func TestEveryPanelSaysWhatItShows(t *testing.T) {
	page := readDashboard(t)
	if count := len(page.Panels); count < 8 || count > 14 {
		t.Errorf("%d panels: about ten can be taken in at a glance", count)
	}
	titles, cells := map[string]bool{}, map[[2]int]string{}
	for i := range page.Panels {
		p := &page.Panels[i]
		if p.Title == "" || titles[p.Title] || p.Description == "" || len(p.Targets) == 0 {
			t.Errorf("panel %q needs a title of its own, a description and a query", p.Title)
		}
		titles[p.Title] = true
		if p.Datasource.UID != "${datasource}" {
			t.Errorf("panel %q reads from %q, not from the chosen data source", p.Title, p.Datasource.UID)
		}
		references := map[string]bool{}
		for _, target := range p.Targets {
			if references[target.RefID] {
				t.Errorf("panel %q has two queries %q: only one would be shown", p.Title, target.RefID)
			}
			references[target.RefID] = true
		}
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other, taken := cells[[2]int{x, y}]; taken || x >= 24 {
					t.Fatalf("panel %q lies over %q or outside", p.Title, other)
				}
				cells[[2]int{x, y}] = p.Title
			}
		}
	}
}
