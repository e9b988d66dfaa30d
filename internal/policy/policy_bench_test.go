package policy_test

import (
	"testing"

	"github.com/netbaseline/netbaseline/internal/policy"
	"github.com/netbaseline/netbaseline/test/utils/builder"
)

func BenchmarkRender(b *testing.B) {
	baseline := builder.Baseline("default").Obj()
	namespace := policy.Namespace{Name: "shop", Labels: builder.Labels("environment", "production", "kubernetes.io/metadata.name", "shop")}
	b.ReportAllocs()
	for b.Loop() {
		policy.Render(baseline, namespace)
	}
}

func BenchmarkHashSpec(b *testing.B) {
	baseline := builder.Baseline("default").Obj()
	namespace := policy.Namespace{Name: "shop", Labels: builder.Labels("environment", "production")}
	for _, desired := range policy.Render(baseline, namespace) {
		b.Run(desired.Policy.Name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				policy.HashSpec(&desired.Policy.Spec)
			}
		})
	}
}
