package main

import (
	"context"

	"github.com/netbaseline/netbaseline/test/utils/harness"
	"github.com/netbaseline/netbaseline/test/utils/reachability"
)

// stay sets the scene for a visitor and waits until they end it.
func (s *show) stay(ctx context.Context, stage *stage) error {
	for _, arguments := range [][]string{
		{"apply", "-f", "test/e2e/demo/namespaces.yaml", "-f", "test/e2e/demo/sandbox.yaml"},
		{"apply", "-k", "config/samples"},
		{"wait", "--for=condition=Ready", "cnb/default", "--timeout=60s"},
		{"create", "rolebinding", "dana-edits", "--clusterrole=edit", "--user=dana", "-n", "shop"},
	} {
		if err := stage.typed(ctx, kubectl(arguments...)); err != nil {
			return err
		}
	}
	if err := stage.showBaseline(ctx); err != nil {
		return err
	}
	world, err := reachability.Live(ctx, stage.environment.Admin)
	if err != nil {
		return err
	}
	stage.screen.caption("who may talk to whom")
	stage.screen.table(environmentsIn(world), look(world))
	s.invite(stage)
	<-ctx.Done()
	return context.Cause(ctx)
}

// invite suggests commands to a visitor.
func (s *show) invite(stage *stage) {
	s.screen.heading("", "In another terminal")
	s.screen.line("  " + s.screen.paint(cyan, "export KUBECONFIG="+stage.environment.Cluster.KubeconfigPath()))
	s.screen.line("  " + s.screen.paint(cyan, "export PATH="+harness.RepositoryPath("bin/k8s")+":$PATH"))
	s.screen.line("")
	s.screen.line("Then, for example:")
	for _, try := range [][2]string{
		{"watch the baseline while you do the rest", "kubectl get cnb -w"},
		{"a new namespace has its policies immediately", "kubectl create ns mine; kubectl get netpol -n mine"},
		{"Dana holds the role edit in shop, and still cannot switch it off", "kubectl --as=dana delete netpol --all -n shop; kubectl get netpol -n shop"},
		{"what was restored, and when", "kubectl get events -n shop"},
		{"what a baseline can say", "kubectl explain cnb.spec"},
		{"the operator's log (it is a process here, not a pod), quiet unless something fails", "tail -f " + stage.manager.LogPath()},
	} {
		s.screen.line("")
		s.screen.remark("# " + try[0])
		s.screen.line("  " + s.screen.paint(cyan, try[1]))
	}
	s.screen.line("")
	s.screen.line("docs/quickstart.md and docs/operating.md go on from here.")
	s.screen.line(s.screen.paint(bold, "It runs until you press Ctrl-C here; then everything is taken away."))
}
