package governance

import (
	"sync"

	"github.com/netbaseline/netbaseline/internal/policy"
)

// maxRenderings bounds how many environments of one baseline are kept rendered. Most clusters have a handful; where every namespace
// is an environment of its own, keeping them all would cost more memory than rendering them again costs time.
const maxRenderings = 64

// renderings keeps the policies of a baseline by environment: nothing else of a namespace decides what they say.
type renderings struct {
	mu            sync.Mutex
	byEnvironment map[string][]policy.Desired
}

// Desired returns the policies that the baseline asks for in namespaces of an environment, "" for none. They are shared and name no
// namespace: never change them. The baseline must be accepted.
func (c *Candidate) Desired(environment string) []policy.Desired {
	c.rendered.mu.Lock()
	defer c.rendered.mu.Unlock()
	if desired, ok := c.rendered.byEnvironment[environment]; ok {
		return desired
	}
	desired := policy.RenderEnvironment(c.Baseline, environment)
	if c.rendered.byEnvironment == nil {
		c.rendered.byEnvironment = map[string][]policy.Desired{}
	}
	if len(c.rendered.byEnvironment) < maxRenderings {
		c.rendered.byEnvironment[environment] = desired
	}
	return desired
}

// Environment returns the environment of a namespace with these labels, as the baseline sees it; "" for none.
func (c *Candidate) Environment(labels map[string]string) string {
	return policy.Environment(&c.Baseline.Spec, labels)
}
