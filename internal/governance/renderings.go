package governance

import (
	"sync"

	"github.com/netbaseline/netbaseline/internal/policy"
)

// maxRenderings bounds how many environments of one baseline are cached. Most clusters have a
// handful; if every namespace is an environment of its own, caching all of them would cost too much
// memory, and rendering again is cheap.
const maxRenderings = 64

// renderings caches the policies of a baseline by environment: they depend on nothing else of a
// namespace.
type renderings struct {
	mu            sync.Mutex
	byEnvironment map[string]rendering
}

type rendering struct {
	desired []policy.Desired
	target  uint64
}

// Desired returns the desired policies of the baseline in namespaces of an environment, "" for
// none. They are shared and have no namespace set: never change them. The baseline must be
// accepted.
func (c *Candidate) Desired(environment string) []policy.Desired {
	return c.render(environment).desired
}

// Target identifies the desired policies of the baseline in namespaces of an environment. The
// baseline must be accepted.
func (c *Candidate) Target(environment string) uint64 { return c.render(environment).target }

func (c *Candidate) render(environment string) rendering {
	c.rendered.mu.Lock()
	defer c.rendered.mu.Unlock()
	if known, ok := c.rendered.byEnvironment[environment]; ok {
		return known
	}
	desired := policy.RenderEnvironment(c.Baseline, environment)
	rendered := rendering{desired, policy.TargetOf(desired)}
	if c.rendered.byEnvironment == nil {
		c.rendered.byEnvironment = map[string]rendering{}
	}
	if len(c.rendered.byEnvironment) < maxRenderings {
		c.rendered.byEnvironment[environment] = rendered
	}
	return rendered
}

// Environment returns the environment of a namespace with these labels under the baseline; "" for
// none.
func (c *Candidate) Environment(labels map[string]string) string {
	return policy.Environment(&c.Baseline.Spec, labels)
}
