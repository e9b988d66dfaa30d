package main

import "github.com/netbaseline/netbaseline/api/v1alpha1"

// step is a part of the story: the text, the commands, and the expected outcome.
type step struct {
	title    string
	story    string
	commands []command
	// allows is which connections must be allowed in the end.
	allows func(from, to end) bool
	// governed is how many namespaces the baseline must report as governed, all of them synced; 0
	// if there must be no baseline.
	governed int32
	// expect checks everything else that was announced; it is called again until it succeeds.
	expect func(*scene) (outcome, error)
	// interesting are the namespaces whose policies are written out.
	interesting []string
}

// command is a command of a user: kubectl and arguments.
type command struct {
	arguments []string
	// patient commands are tried until they succeed: what they need takes a moment in the API
	// server.
	patient bool
	// refused commands must be forbidden.
	refused bool
}

func kubectl(arguments ...string) command { return command{arguments: arguments} }

func patiently(c command) command {
	c.patient = true
	return c
}

func refused(c command) command {
	c.refused = true
	return c
}

const (
	denyPolicy      = v1alpha1.DefaultDenyName
	isolationPolicy = v1alpha1.EnvironmentIsolationName
)

func story() []step {
	return []step{
		{
			title: "A cluster like many others",
			story: "Two namespaces are in production, two in staging, one belongs to no environment. No one has written a NetworkPolicy, " +
				"so nothing is denied to anybody, the internet included.",
			commands: []command{kubectl("apply", "-f", "test/e2e/demo/namespaces.yaml")},
			allows:   everything,
			expect:   noPolicies("there is no policy anywhere: every connection is possible"),
		},
		{
			title: "One baseline for the whole cluster",
			story: "The platform team applies the sample. It selects every namespace and leaves everything else to the defaults: " +
				"deny all, allow DNS, open each environment to itself.",
			commands: []command{
				kubectl("apply", "-k", "config/samples"),
				kubectl("wait", "--for=condition=Ready", "cnb/default", "--timeout=30s"),
			},
			allows:      onlyOwnEnvironment,
			governed:    6,
			expect:      protectedAll("shop", "billing", "preview", "qa", "scratch", "default"),
			interesting: []string{"shop"},
		},
		{
			title:       "A team gets a new namespace",
			story:       "Its manifest holds nothing but the label, and its owner does not have to think of policies.",
			commands:    []command{kubectl("apply", "-f", "test/e2e/demo/sandbox.yaml")},
			allows:      onlyOwnEnvironment,
			governed:    7,
			expect:      protectedNew("sandbox"),
			interesting: []string{"sandbox"},
		},
		{
			title:       "Preview goes live",
			story:       "The platform team moves it from staging to production. One label decides, and no one edits a policy.",
			commands:    []command{kubectl("label", "namespace", "preview", "environment=production", "--overwrite")},
			allows:      onlyOwnEnvironment,
			governed:    7,
			expect:      moved("preview"),
			interesting: []string{"preview"},
		},
		{
			title: "A tenant deletes a policy",
			story: "Dana works on the shop and holds Kubernetes' own role edit there: enough to change and delete every NetworkPolicy in it.",
			commands: []command{
				kubectl("create", "rolebinding", "dana-edits", "--clusterrole=edit", "--user=dana", "-n", "shop"),
				patiently(kubectl("--as=dana", "auth", "can-i", "delete", "networkpolicies", "-n", "shop")),
				kubectl("--as=dana", "delete", "netpol", isolationPolicy, "-n", "shop"),
			},
			allows:   onlyOwnEnvironment,
			governed: 7,
			expect: putBack("shop", isolationPolicy, meanwhile{
				changes:  []way{{"billing", "shop"}, {"preview", "shop"}, {"shop", "billing"}, {"shop", "preview"}, {"shop", "shop"}},
				sentence: "until then the shop was cut off from its own environment, and nothing was open that should not be",
			}),
			interesting: []string{"shop"},
		},
		{
			title: "The tenant opens default-deny to the whole world",
			story: "An empty ingress rule allows everyone, and what one policy allows no other can deny. So netbaseline puts up with " +
				"nothing in its policies that it has not written itself.",
			commands: []command{
				kubectl("--as=dana", "patch", "netpol", denyPolicy, "-n", "shop", "-p", `{"spec":{"ingress":[{}]}}`),
			},
			allows:   onlyOwnEnvironment,
			governed: 7,
			expect: putBack("shop", denyPolicy, meanwhile{
				changes:  []way{{internet, "shop"}},
				sentence: "until then the internet could reach the shop",
			}),
			interesting: []string{"shop"},
		},
		{
			title: "The tenant hides the policy first",
			story: "In one patch, Dana strips the label by which netbaseline recognizes its policies, and opens egress. It does not help: in a " +
				"governed namespace the name alone decides.",
			commands: []command{
				kubectl("--as=dana", "patch", "netpol", denyPolicy, "-n", "shop", "-p",
					`{"metadata":{"labels":{"`+v1alpha1.BaselineLabel+`":null}},"spec":{"egress":[{}]}}`),
			},
			allows:   onlyOwnEnvironment,
			governed: 7,
			expect: putBack("shop", denyPolicy, meanwhile{
				changes:  []way{{"shop", internet}},
				sentence: "label and spec are as before; until then the shop could send to the internet",
			}),
			interesting: []string{"shop"},
		},
		{
			title: "The platform team takes the baseline away",
			story: "Dana may not, the platform team may. Its policies go with it (deletionPolicy: Delete, the default), and kubectl waits " +
				"until the last one is gone.",
			commands: []command{
				refused(kubectl("--as=dana", "delete", "cnb", "default")),
				kubectl("delete", "cnb", "default"),
			},
			allows: everything,
			expect: removedAll("all policies are gone"),
		},
	}
}
