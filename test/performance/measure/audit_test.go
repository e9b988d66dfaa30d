package measure

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const auditLog = `{"stage":"ResponseComplete","verb":"create","user":{"username":"operator"},"objectRef":{"resource":"networkpolicies"},"requestReceivedTimestamp":"2026-01-02T03:04:05.000001Z"}
{"stage":"ResponseComplete","verb":"create","user":{"username":"operator"},"objectRef":{"resource":"networkpolicies"},"requestReceivedTimestamp":"2026-01-02T03:04:06.000000Z"}
{"stage":"ResponseComplete","verb":"update","user":{"username":"operator"},"objectRef":{"resource":"clusternetworkbaselines","subresource":"status"},"requestReceivedTimestamp":"2026-01-02T03:04:06.100000Z"}
{"stage":"ResponseStarted","verb":"watch","user":{"username":"operator"},"objectRef":{"resource":"namespaces"},"requestReceivedTimestamp":"2026-01-02T03:04:06.200000Z"}
{"stage":"ResponseComplete","verb":"watch","user":{"username":"operator"},"objectRef":{"resource":"namespaces"},"requestReceivedTimestamp":"2026-01-02T03:04:06.200000Z"}
{"stage":"ResponseComplete","verb":"create","user":{"username":"operator"},"objectRef":{"apiGroup":"events.k8s.io","resource":"events"},"requestReceivedTimestamp":"2026-01-02T03:04:06.300000Z"}
{"stage":"ResponseComplete","verb":"get","user":{"username":"kubelet"},"requestURI":"/readyz?verbose","responseStatus":{"code":500},"requestReceivedTimestamp":"2026-01-02T03:04:06.900000Z"}
{"stage":"ResponseComplete","verb":"get","user":{"username":"kubelet"},"requestURI":"/readyz?verbose","responseStatus":{"code":200},"requestReceivedTimestamp":"2026-01-02T03:04:07.000000Z"}
{"stage":"ResponseComplete","verb":"get","user":{"username":"kubelet"},"requestURI":"/readyz?verbose","requestReceivedTimestamp":"2026-01-02T03:04:08.000000Z"}
{"stage":"ResponseComplete","verb":"create","user":{"userna`

func TestCountRequests(t *testing.T) {
	at := func(second int) time.Time { return time.Date(2026, time.January, 2, 3, 4, second, 0, time.UTC) }
	got, err := CountRequests(strings.NewReader(auditLog), []Window{
		{"first", at(5), at(6)}, {"all", at(5), at(8)}, {"none", at(9), at(10)},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]Requests{
		"first": {"operator": {"create networkpolicies": 1}},
		"all": {
			"operator": {
				"create networkpolicies": 2, "update clusternetworkbaselines/status": 1, "watch namespaces": 1, "create events.events.k8s.io": 1,
			},
			"kubelet": {"get /readyz": 1, "get /readyz 500": 1},
		},
		"none": {},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestCountRequestsRefusesWhatIsNoAuditLog(t *testing.T) {
	if _, err := CountRequests(strings.NewReader("{}\nnonsense\n"), nil); err == nil || !strings.Contains(err.Error(), "line 2") {
		t.Errorf("got %v, want an error that names the line", err)
	}
}
