package localcluster

import (
	"strings"
	"testing"
)

func TestParseAudit(t *testing.T) {
	const event = `{"kind":"Event","apiVersion":"audit.k8s.io/v1","verb":"create","user":{"username":"jane"}}`
	tests := map[string]struct {
		log     string
		want    int
		wantErr bool
	}{
		"an empty log":                      {log: ""},
		"one event a line":                  {log: event + "\n" + event + "\n", want: 2},
		"a last line still being written":   {log: event + "\n" + event[:20], want: 1},
		"a damaged line is not passed over": {log: event[:20] + "\n" + event + "\n", wantErr: true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			events, read, err := parseAudit(strings.NewReader(test.log))
			if (err != nil) != test.wantErr {
				t.Fatalf("error %v, want one: %t", err, test.wantErr)
			}
			if len(events) != test.want {
				t.Errorf("%d events, want %d", len(events), test.want)
			}
			if complete := int64(strings.LastIndex(test.log, "\n") + 1); err == nil && read != complete {
				t.Errorf("%d bytes read, want the %d of complete lines", read, complete)
			}
			for _, event := range events {
				if event.Verb != "create" || event.User.Username != "jane" {
					t.Errorf("event %+v", event)
				}
			}
		})
	}
}
