package localcluster

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"
)

// AuditLogPath is the (first) API server's audit log, one JSON event a line, in Dir. It has the
// metadata of every request that writes, events and leases included, and of reads if
// Options.AuditReads or Options.AuditReadsOf is set. An event is written when its request ends,
// which may be a moment after the client has the response: poll for what you expect.
func (c *Cluster) AuditLogPath() string {
	return filepath.Join(c.logs, "audit.log")
}

// ReadAudit returns all audit events so far, those of each API server in the order of its file.
// Long-running requests, such as watches, occur twice: when their response started and when it
// ended.
func (c *Cluster) ReadAudit() ([]auditv1.Event, error) { return c.FollowAudit().Next() }

// AuditReader gives each audit event once. It is not safe for concurrent use.
type AuditReader struct {
	cluster *Cluster
	read    map[string]int64 // of each file, how many bytes
}

// FollowAudit returns a reader that begins with the first event.
func (c *Cluster) FollowAudit() *AuditReader {
	return &AuditReader{cluster: c, read: map[string]int64{}}
}

// Next returns the events since the last call, as ReadAudit does those since the beginning.
func (r *AuditReader) Next() ([]auditv1.Event, error) {
	paths, err := filepath.Glob(filepath.Join(r.cluster.logs, "audit*.log"))
	if err != nil {
		return nil, err
	}
	var events []auditv1.Event
	for _, path := range paths {
		more, err := r.nextOf(path)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		events = append(events, more...)
	}
	return events, nil
}

func (r *AuditReader) nextOf(path string) ([]auditv1.Event, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // only read
	if _, err := file.Seek(r.read[path], io.SeekStart); err != nil {
		return nil, err
	}
	events, read, err := parseAudit(file)
	r.read[path] += read
	return events, err
}

// parseAudit returns the events and how many bytes they take. It leaves out a last line without its
// end: the API server is writing it, or was killed while it did.
func parseAudit(log io.Reader) (events []auditv1.Event, read int64, err error) {
	reader := bufio.NewReader(log)
	for number := 1; ; number++ {
		line, err := reader.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return events, read, nil
		}
		if err != nil {
			return nil, 0, err
		}
		read += int64(len(line))
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		var event auditv1.Event
		if err := json.Unmarshal(line, &event); err != nil {
			return nil, 0, fmt.Errorf("line %d: %w", number, err)
		}
		events = append(events, event)
	}
}

func (c *Cluster) auditPolicyPath() string {
	return filepath.Join(c.directory.path, "audit-policy.yaml")
}

func (c *Cluster) writeAuditPolicy() error {
	policy, err := json.Marshal(auditPolicy(&c.options)) // JSON is YAML
	if err != nil {
		return err
	}
	return writeFile(c.auditPolicyPath(), policy)
}

// auditPolicy determines what is written to the audit log. The first rule that matches a request
// decides; a rule without verbs or users matches all.
func auditPolicy(options *Options) *auditv1.Policy {
	rules := []auditv1.PolicyRule{{Level: auditv1.LevelMetadata, Verbs: []string{"create", "update", "patch", "delete", "deletecollection"}}}
	if len(options.AuditReadsOf) > 0 {
		rules = append(rules, auditv1.PolicyRule{Level: auditv1.LevelMetadata, Users: options.AuditReadsOf})
	}
	others := auditv1.LevelNone
	if options.AuditReads {
		others = auditv1.LevelMetadata
	}
	return &auditv1.Policy{
		TypeMeta:          metav1.TypeMeta{APIVersion: auditv1.SchemeGroupVersion.String(), Kind: "Policy"},
		OmitStages:        []auditv1.Stage{auditv1.StageRequestReceived},
		OmitManagedFields: true,
		Rules:             append(rules, auditv1.PolicyRule{Level: others}),
	}
}
