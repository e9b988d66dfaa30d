# How the tools that tests and checks need are built: from source, once, into bin/.

# All four come from one place, so that their versions agree: from KUBEBUILDER_ASSETS if it holds them, else from bin/k8s.
CONTROL_PLANE := etcd kubectl kube-apiserver kube-controller-manager
MISSING := $(foreach name,$(CONTROL_PLANE),$(if $(wildcard $(KUBEBUILDER_ASSETS)/$(name)),,$(name)))

ifeq ($(KUBEBUILDER_ASSETS),)
control-plane: $(addprefix bin/k8s/,$(CONTROL_PLANE))
else ifeq ($(strip $(MISSING)),)
control-plane:
	@echo "Using etcd and Kubernetes from KUBEBUILDER_ASSETS=$(KUBEBUILDER_ASSETS): nothing to build."
else
control-plane: control-plane-incomplete $(addprefix bin/k8s/,$(CONTROL_PLANE))
endif

.PHONY: control-plane-incomplete
control-plane-incomplete:
	@echo "KUBEBUILDER_ASSETS=$(KUBEBUILDER_ASSETS) lacks $(strip $(MISSING)): bin/k8s/ is used instead."

KUBERNETES_VERSION := $(shell awk '$$1 == "k8s.io/kubernetes" {print $$2; exit}' test/controlplane/go.mod)
bin/k8s/etcd: PACKAGE := go.etcd.io/etcd/server/v3
bin/k8s/etcd: DURATION := 1.5 minutes
bin/k8s/kubectl: PACKAGE := k8s.io/kubernetes/cmd/kubectl
bin/k8s/kubectl: DURATION := 1 minute
bin/k8s/kube-apiserver: PACKAGE := k8s.io/kubernetes/cmd/kube-apiserver
bin/k8s/kube-apiserver: DURATION := 8.5 minutes
bin/k8s/kube-controller-manager: PACKAGE := k8s.io/kubernetes/cmd/kube-controller-manager
bin/k8s/kube-controller-manager: DURATION := 3 minutes

# Written under another name first, so that an interrupted build leaves nothing that looks finished.
$(addprefix bin/k8s/,$(CONTROL_PLANE)): test/controlplane/go.mod test/controlplane/go.sum
	@echo "Building bin/k8s/$(@F), once: about $(DURATION) on 2 cores, seconds when Go's build cache is warm."
	@$(GO) build -C test/controlplane -o ../../$@.tmp -ldflags "-s -w -X k8s.io/component-base/version.gitVersion=$(KUBERNETES_VERSION)" $(PACKAGE)
	@mv $@.tmp $@

$(GOLANGCI_LINT): internal/tools/lint/go.mod internal/tools/lint/go.sum
	@echo "Building bin/golangci-lint, once: 3 to 5 minutes on 2 cores, seconds when Go's build cache is warm."
	@$(GO) build -C internal/tools/lint -o ../../../$@.tmp sigs.k8s.io/kube-api-linter/cmd/golangci-lint-kube-api-linter
	@mv $@.tmp $@

$(HELM): internal/tools/helm/go.mod internal/tools/helm/go.sum
	@echo "Building bin/helm, once: about a minute on 2 cores after the control plane, else 3; seconds when Go's build cache is warm."
	@$(GO) build -C internal/tools/helm -o ../../../$@.tmp -ldflags "-s -w" helm.sh/helm/v4/cmd/helm
	@mv $@.tmp $@

# Without service discovery, which would bring the libraries of a dozen clouds.
$(PROMTOOL): test/e2e/observability/go.mod test/e2e/observability/go.sum
	@echo "Building bin/promtool, once: 2 to 3 minutes on 2 cores, seconds when Go's build cache is warm."
	@$(GO) build -C test/e2e/observability -o ../../../$@.tmp -tags remove_all_sd -ldflags "-s -w" github.com/prometheus/prometheus/cmd/promtool
	@mv $@.tmp $@
