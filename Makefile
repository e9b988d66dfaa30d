# `make` or `make help` lists the targets.

# Image that docker-build builds and deploy runs.
IMG ?= controller:latest
CONTAINER_TOOL ?= docker
GO ?= go
# Passed to the manager by `make run`.
ARGS ?=
# Set to true to ignore what is not there: make undeploy ignore-not-found=true
ignore-not-found ?= false
# How long undeploy and uninstall wait for a deletion that makes no progress, in seconds.
cleanup-timeout ?= 60

SHELL = /usr/bin/env bash -o pipefail
.SHELLFLAGS = -ec
.DEFAULT_GOAL := help
# What a target needs is made in the order written, also under make -j.
.NOTPARALLEL:

GOLANGCI_LINT := bin/golangci-lint
HELM := bin/helm
PROMTOOL := bin/promtool
KUBECTL ?= $(if $(wildcard bin/k8s/kubectl),bin/k8s/kubectl,kubectl)
GO_TOOL := $(GO) tool -modfile=internal/tools/go.mod
CONTROLLER_GEN := $(GO_TOOL) controller-gen

# Where the code that controller-gen reads lives, and what it writes.
GENERATOR_PATHS := paths="./api/..." paths="./controllers/..."
GENERATED := 'api/*zz_generated.deepcopy.go' config/crd/bases config/rbac/role.yaml charts/netbaseline/files \
	docs/reference/api.md docs/reference/conditions.md docs/reference/events.md config/grafana/netbaseline.json

# Modules of our own code beside the root: what they need is none of the operator's business.
MODULES := test/fuzz test/e2e/observability test/e2e/docs/foreign

# The race detector needs a C compiler; without one the tests still run, and say so.
RACE ?= $(if $(shell command -v $$($(GO) env CC) 2>/dev/null),-race)

##@ General

.PHONY: help
help: ## Show this help.
	@awk 'BEGIN {FS = ":.*##"; printf "Usage:\n  make \033[36m<target>\033[0m\n"} \
		/^[a-zA-Z_0-9-]+:.*?##/ {printf "  \033[36m%-17s\033[0m %s\n", $$1, $$2} \
		/^##@/ {printf "\n\033[1m%s\033[0m\n", substr($$0, 5)}' $(firstword $(MAKEFILE_LIST))

##@ Try it

# Nothing is regenerated here: a newcomer sees netbaseline itself first.
.PHONY: demo
demo: demo-announcement manager control-plane demo-binary ## Show netbaseline at work on a control plane of its own; leaves nothing behind.
	@bin/demo

.PHONY: local-cluster
local-cluster: demo-announcement manager control-plane demo-binary ## The demo's cluster, kept running: prints the KUBECONFIG to use from another terminal.
	@bin/demo --keep

.PHONY: demo-announcement
demo-announcement:
	@echo "The first time takes about 15 minutes on 2 cores, to build Kubernetes; later less than a minute."

# Not `go run`: a signal to make reaches bin/demo itself, which then takes its cluster away.
.PHONY: demo-binary
demo-binary:
	@echo "Building bin/demo."
	@$(GO) build -o bin/demo ./test/e2e/demo

##@ Development

.PHONY: generate
generate: ## Generate the DeepCopy methods of api/.
	$(CONTROLLER_GEN) object:headerFile=internal/tools/boilerplate.go.txt paths="./api/..."

.PHONY: manifests
manifests: ## Generate the CustomResourceDefinition and the manager's ClusterRole; copy them and the alerts to the chart.
	$(CONTROLLER_GEN) crd rbac:roleName=manager-role $(GENERATOR_PATHS) \
		output:crd:artifacts:config=config/crd/bases output:rbac:artifacts:config=config/rbac
	@cp config/crd/bases/policy.netbaseline.dev_clusternetworkbaselines.yaml charts/netbaseline/files/crd.yaml
	@cp config/rbac/role.yaml charts/netbaseline/files/role.yaml
	@cp config/prometheus/prometheus_rule.yaml charts/netbaseline/files/prometheus_rule.yaml

.PHONY: docs
docs: ## Generate docs/reference: the API, conditions and events.
	$(GO_TOOL) crd-ref-docs --log-level=ERROR --source-path=api --config=internal/tools/crd-ref-docs/config.yaml \
		--templates-dir=internal/tools/crd-ref-docs/templates --renderer=markdown --output-path=docs/reference/api.md
	$(GO) run ./test/utils/reference .

.PHONY: dashboards
dashboards: ## Generate the Grafana dashboard, config/grafana/netbaseline.json.
	$(GO) run -C test/e2e/observability ./dashboard >config/grafana/netbaseline.json.tmp
	@mv config/grafana/netbaseline.json.tmp config/grafana/netbaseline.json

# `make test` fails if it is not up to date.
.PHONY: metrics-reference
metrics-reference: control-plane ## Generate docs/reference/metrics.md from what a running manager exports.
	$(GO) test -C test/e2e/observability -count=1 -run TestTheReference . -args -update

##@ Tests

# Begun first, so that none of them runs alone at the end.
SLOW_SUITES := ./test/integration/tenant ./test/e2e/install ./test/e2e/docs ./test/integration/privilege
REACTIONS := test/integration/reactions
GINKGO := $(GO) run github.com/onsi/ginkgo/v2/ginkgo

# Where the suites save what the operator has asked of the API server. Go never takes a suite that does so from its cache.
test: export NETBASELINE_AUDIT_DIR = $(CURDIR)/bin/audit

.PHONY: test
test: build control-plane $(HELM) $(PROMTOOL) ## Run every test but the fault suites, against a real control plane where one is needed.
	@$(if $(RACE),,echo "No C compiler: the tests run without the race detector.")
	@rm -rf bin/audit; mkdir -p bin/audit
	@# The specifications mostly wait: three processes of Ginkgo, each with a control plane of its own, run while the other suites do, three at a time.
	@$(GINKGO) -procs=3 $(subst -,--,$(RACE)) --timeout=30m --no-color ./$(REACTIONS) >bin/reactions.log 2>&1 & reactions=$$!; \
	$(GO) test $(RACE) -timeout 30m -p 3 $(SLOW_SUITES) $$($(GO) list ./... | grep -v '/$(REACTIONS)$$') || failed=1; \
	wait $$reactions || failed=1; cat bin/reactions.log; [ -z "$$failed" ]
	$(GO) test -C test/fuzz ./...
	@# Never from the cache: what it looks at is not in its module.
	$(GO) test -C test/e2e/observability -count=1 ./...
	$(GO) test -C test/e2e/docs/foreign ./...

.PHONY: privileges
privileges: ## After make test: permissions that were granted and never used, or requested and denied.
	@$(GO) run ./test/integration/privilege/report $(or $(wildcard $(KUBEBUILDER_ASSETS)/kubectl),$(KUBECTL)) bin/audit

# The longest first, one of them in parts. The fault tests mostly wait, so four of them run at a time, each on a control plane of its own.
LONG_FAULTS := TestACrashAtEveryWrite@1/3 TestACrashAtEveryWrite@2/3 TestACrashAtEveryWrite@3/3 TestEveryCallFails
ALL_FAULTS = $(LONG_FAULTS) $(filter-out TestACrashAtEveryWrite TestEveryCallFails TestMain,$(shell grep -ho '^func Test[A-Za-z]*' test/faults/*_test.go | cut -c6-))

.PHONY: test-faults
test-faults: control-plane ## Crash, starve and mislead the manager at every turn, with fixed seeds.
	$(GO) vet -tags faults ./test/faults
	$(GO) test -count=1 -timeout 30m -tags faults ./test/faults/witness
	@$(GO) test -c -tags faults -o bin/faults.test ./test/faults
	@printf '%s\n' $(ALL_FAULTS) | xargs -P 4 -n 1 test/faults/run.sh

.PHONY: test-faults-long
test-faults-long: control-plane ## All of test-faults, with the race detector, and the check that the tests notice mistakes.
	$(GO) test $(RACE) -count=1 -timeout 6h -tags faults ./test/faults/witness
	$(GO) test $(RACE) -count=1 -timeout 6h -tags faults ./test/faults -args -faults.long
	test/faults/mutations.sh

# How long each fuzz target runs.
FUZZTIME ?= 30s
FUZZ_TARGETS := internal/plan/FuzzPlan test/fuzz/FuzzRender test/fuzz/FuzzRenderDocument test/fuzz/FuzzReplacement

# An input that fails is kept in testdata/fuzz, and from then on `make test` tries it too. The first time everything is compiled
# once more, Kubernetes' packages among it, because fuzzing needs to see which code an input reaches: about 6 minutes on 2 cores.
.PHONY: fuzz
fuzz: ## Fuzz rendering, planning and writing, each target for FUZZTIME=30s.
	@for target in $(FUZZ_TARGETS); do \
		echo "==> fuzz: $$target"; \
		$(GO) test -C "$${target%/*}" -run '^$$' -fuzz "^$${target##*/}$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x .; \
	done

.PHONY: bench
bench: ## Run the benchmarks, with allocations.
	$(GO) test -run '^$$' -bench . -benchmem ./internal/...

# How many namespaces bench-scale measures with.
N ?= 1000
# How often bench-scale measures everything.
RUNS ?= 1

# On an idle machine: everything else that runs is in the figures. `bin/bench-scale -docs` writes docs/performance.md from all results.
.PHONY: bench-scale
bench-scale: manager control-plane ## Measure the manager beside two bare reactors with N=1000 namespaces; results go to bin/bench/.
	@$(GO) build -o bin/bench-scale ./test/performance
	@bin/bench-scale -n $(N) -runs $(RUNS)

##@ Checks

.PHONY: fmt
fmt: ## Format the code.
	$(GO_TOOL) gofumpt -w .

.PHONY: vet
vet:
	$(GO) vet ./...
	@for module in $(MODULES); do $(GO) vet -C $$module ./... || exit 1; done

.PHONY: lint
lint: $(GOLANGCI_LINT) ## Run golangci-lint, with kube-api-linter on api/.
	$(GOLANGCI_LINT) run ./...

.PHONY: lint-fix
lint-fix: $(GOLANGCI_LINT) ## Run golangci-lint and fix what it can fix.
	$(GOLANGCI_LINT) run --fix ./...

VERIFY_STEPS := generated format vet lint words workflows modules

.PHONY: verify
verify: ## Regenerate and fail on a difference, then check format, vet, lint, words, workflows and go.mod.
	@failed=; \
	for step in $(VERIFY_STEPS); do \
		echo "==> verify: $$step"; \
		$(MAKE) --no-print-directory verify-$$step || failed="$$failed $$step"; \
	done; \
	if [ -n "$$failed" ]; then echo "verify: FAILED:$$failed" >&2; exit 1; fi; \
	echo "verify: all good: $(VERIFY_STEPS)"

.PHONY: verify-generated
verify-generated: generate manifests docs dashboards
	@stale=$$(git ls-files --others --exclude-standard -- $(GENERATED)); \
	git --no-pager diff --exit-code -- $(GENERATED) || stale="$$stale $$(git diff --name-only -- $(GENERATED))"; \
	if [ -n "$$stale" ]; then \
		echo "Not as committed after regenerating; add these to your commit:" >&2; printf '  %s\n' $$stale >&2; exit 1; \
	fi

.PHONY: verify-format
verify-format:
	@unformatted=$$($(GO_TOOL) gofumpt -l .); \
	if [ -n "$$unformatted" ]; then \
		echo "Not formatted; make fmt does it:" >&2; printf '  %s\n' $$unformatted >&2; exit 1; \
	fi

.PHONY: verify-vet
verify-vet: vet

.PHONY: verify-lint
verify-lint: lint

.PHONY: verify-words
verify-words:
	@$(GO) run ./test/utils/words

# Without shellcheck and pyflakes, which are not everywhere: the answer must not depend on the machine.
.PHONY: verify-workflows
verify-workflows:
	$(GO_TOOL) actionlint -shellcheck= -pyflakes=

.PHONY: verify-modules
verify-modules:
	@for module in . $(MODULES); do \
		$(GO) mod -C $$module tidy -diff || { echo "$$module/go.mod or go.sum is not tidy; go mod tidy does it." >&2; exit 1; }; \
	done

##@ Build

.PHONY: build
build: generate manifests manager ## Build bin/manager.

.PHONY: manager
manager:
	@echo "Building bin/manager."
	@$(GO) build -o bin/manager ./cmd/manager

.PHONY: run
run: build ## Run the manager here, against the cluster of the current KUBECONFIG.
	bin/manager --leader-elect=false --metrics-bind-address=0 --health-probe-bind-address=0 $(ARGS)

.PHONY: docker-build
docker-build: ## Build the image $(IMG).
	$(CONTAINER_TOOL) build -t $(IMG) .

.PHONY: docker-push
docker-push: ## Push the image $(IMG).
	$(CONTAINER_TOOL) push $(IMG)

# Where build-installer writes to.
INSTALLER ?= dist/install.yaml

.PHONY: build-installer
build-installer: manifests ## Write dist/install.yaml: config/default as one file, with the image $(IMG).
	@mkdir -p $(dir $(INSTALLER))
	$(KUBECTL) kustomize config/default | sed 's|image: controller:latest|image: $(IMG)|' >$(INSTALLER).tmp
	@mv $(INSTALLER).tmp $(INSTALLER)

.PHONY: clean
clean: ## Remove everything built (bin/, dist/); with Go's build cache it is back in a minute.
	rm -rf bin dist

##@ Cluster

.PHONY: install
install: manifests ## Install the CustomResourceDefinition into the current cluster.
	$(KUBECTL) apply -k config/crd

.PHONY: uninstall
uninstall: ## Delete all baselines, then the CustomResourceDefinition.
	@KUBECTL="$(KUBECTL)" TIMEOUT=$(cleanup-timeout) internal/tools/delete-baselines.sh
	$(KUBECTL) delete --ignore-not-found=$(ignore-not-found) -k config/crd

.PHONY: deploy
deploy: manifests ## Deploy the operator with the image $(IMG) to the current cluster.
	$(KUBECTL) kustomize config/default | sed 's|image: controller:latest|image: $(IMG)|' | $(KUBECTL) apply -f -

# In this order nothing is left stuck: the operator cleans up behind the baselines while it still runs; the
# CustomResourceDefinition goes when no baseline is left; the operator goes last.
.PHONY: undeploy
undeploy: ## Delete all baselines, wait for the operator to clean up, then remove it.
	@KUBECTL="$(KUBECTL)" TIMEOUT=$(cleanup-timeout) internal/tools/delete-baselines.sh
	$(KUBECTL) delete --ignore-not-found=$(ignore-not-found) -k config/crd
	$(KUBECTL) kustomize config/default | $(KUBECTL) delete --ignore-not-found -f -

##@ Tools

# How they are built is in internal/tools/tools.mk.
.PHONY: control-plane helm promtool
control-plane: ## Build etcd and Kubernetes for tests and demo into bin/k8s/, once.
helm: $(HELM)
promtool: $(PROMTOOL)

include internal/tools/tools.mk
