// Package apply makes every write of a NetworkPolicy. It carries out a plan, checks what the API
// server stored, and translates its errors into reasons for a status. It does not decide which
// baseline governs a namespace.
package apply

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"

	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
	"github.com/netbaseline/netbaseline/internal/plan"
	"github.com/netbaseline/netbaseline/internal/policy"
)

// maxReplacedSpec is the size, in bytes, up to which the spec of a replaced foreign policy is kept
// in an annotation. All annotations of an object together are limited to 256 KiB, and a human reads
// no more than a few pages.
const maxReplacedSpec = 16 << 10

// maxForeignMetadata is the size, in bytes, up to which foreign labels, annotations and finalizers
// of a policy are kept, and up to which its managedFields are. Otherwise a client could fill the
// object to the API server's limits, 256 KiB for annotations and about 1.5 MiB in total, to block
// our writes and so keep the policy open.
const maxForeignMetadata = 64 << 10

// Executor carries out plans. Live must read from the API server itself: a cache may lag behind or
// leave objects out.
type Executor struct {
	Writer client.Writer
	Live   client.Reader
	// Confirmed means that plans are based on what the API server itself returned. Without it,
	// protection is added and restored, but never removed: see ErrUnconfirmed.
	Confirmed bool
}

// Written is a write that was made.
type Written struct {
	Operation plan.Operation
	// Object is what the API server stored; for a removal, only its namespace, name and UID.
	Object *networkingv1.NetworkPolicy
	// TakenOver means that a foreign object existed under the name and was replaced.
	TakenOver bool
	// Found is the policy that an update replaced. Harmless means that it still carried the
	// baseline's label and allowed nothing that the desired policy does not.
	Found    plan.Observed
	Harmless bool
}

// Execute carries out a plan and returns the writes that were made, even if it fails. Stages run in
// order. A write that fails holds back only the writes that need it, and the removals: all other
// protection is still written. Explain translates the error.
func (e *Executor) Execute(ctx context.Context, p plan.Plan) ([]Written, error) {
	if p.Loosens() && !e.Confirmed {
		return nil, ErrUnconfirmed
	}
	var written []Written
	var errs []error
	for _, stage := range p {
		done, failed := e.executeStage(ctx, executable(stage, errs))
		written, errs = append(written, done...), append(errs, failed...)
	}
	return written, joined(errs)
}

// executable returns the steps of a stage that the failures so far allow.
func executable(stage plan.Stage, errs []error) plan.Stage {
	refused := slices.DeleteFunc(slices.Clone(errs), isAltered) // what the API server altered is in place
	switch {
	case len(refused) == 0:
		return stage
	case slices.ContainsFunc(refused, NamespaceGone):
		return nil // there is nothing left to protect
	}
	return slices.DeleteFunc(slices.Clone(stage), func(step plan.Step) bool {
		return step.Operation == plan.Delete || step.Needs != "" && slices.ContainsFunc(refused, func(err error) bool {
			failed, ok := errors.AsType[*stepError](err)
			return ok && failed.step.Name == step.Needs
		})
	})
}

func (e *Executor) executeStage(ctx context.Context, stage plan.Stage) ([]Written, []error) {
	results, errs := make([]*Written, len(stage)), make([]error, len(stage))
	if len(stage) == 1 {
		results[0], errs[0] = e.executeStep(ctx, &stage[0])
	} else {
		var group sync.WaitGroup
		for i := range stage {
			group.Go(func() { results[i], errs[i] = e.executeStep(ctx, &stage[i]) })
		}
		group.Wait()
	}
	var written []Written
	for _, result := range results {
		if result != nil {
			written = append(written, *result)
		}
	}
	return written, slices.DeleteFunc(errs, func(err error) bool { return err == nil })
}

func (e *Executor) executeStep(ctx context.Context, step *plan.Step) (*Written, error) {
	var written *Written
	var err error
	switch step.Operation {
	case plan.Create:
		written, err = e.create(ctx, step)
	case plan.Update:
		written, err = e.update(ctx, step)
	case plan.Delete:
		written, err = e.remove(ctx, step)
	case plan.Recreate:
		written, err = e.recreate(ctx, step)
	}
	if err != nil {
		return written, &stepError{step: step, err: err}
	}
	return written, nil
}

// create writes a policy that the cache does not contain. If another client has created it in the
// meantime, the existing object is brought to the desired state.
func (e *Executor) create(ctx context.Context, step *plan.Step) (*Written, error) {
	object := inNamespace(step)
	err := e.Writer.Create(ctx, object)
	if apierrors.IsAlreadyExists(err) {
		return e.update(ctx, step)
	}
	if err != nil {
		return nil, err
	}
	return &Written{Operation: plan.Create, Object: object}, verify(step, object)
}

// inNamespace returns the desired policy as an object in the step's namespace. All but the
// namespace is shared with the rendering, which all namespaces of an environment have in common: a
// client only reads it, and replaces it as a whole with the response.
func inNamespace(step *plan.Step) *networkingv1.NetworkPolicy {
	object := *step.Desired.Policy
	object.Namespace = step.Namespace
	return &object
}

// update replaces the whole of a policy. Server-side apply cannot do that: it keeps rules that
// another client added.
func (e *Executor) update(ctx context.Context, step *plan.Step) (*Written, error) {
	if step.Blind {
		written, err := e.replaceUnread(ctx, step)
		if !passed(err) {
			return written, err
		}
	}
	written, err := e.replace(ctx, step, true)
	if apierrors.IsConflict(err) {
		written, err = e.replace(ctx, step, false)
	}
	switch {
	case apierrors.IsNotFound(err) && step.Operation == plan.Update && !step.OnlyToClose:
		return e.create(ctx, &plan.Step{Operation: plan.Create, Namespace: step.Namespace, Name: step.Name, Desired: step.Desired})
	case err != nil || written == nil:
		return nil, err
	}
	return written, verify(step, written.Object)
}

// passed reports whether an error means that the policy is no longer in the state that the write
// was meant for.
func passed(err error) bool { return apierrors.IsConflict(err) || apierrors.IsNotFound(err) }

// replaceUnread writes the desired state over exactly the object that the plan observed, without
// reading it first.
func (e *Executor) replaceUnread(ctx context.Context, step *plan.Step) (*Written, error) {
	object := inNamespace(step)
	object.UID, object.ResourceVersion = step.Found.UID, step.Found.ResourceVersion
	if err := e.Writer.Update(ctx, object); err != nil {
		return nil, err
	}
	harmless := step.Found.SpecHash == step.Desired.Hash && step.Found.Owner == step.Owner()
	return &Written{Operation: plan.Update, Object: object, Found: step.Found, Harmless: harmless}, verify(step, object)
}

// recreate removes the finalizers of a policy that is being deleted, except those of known network
// plugins, and creates it again.
func (e *Executor) recreate(ctx context.Context, step *plan.Step) (*Written, error) {
	live := &networkingv1.NetworkPolicy{}
	err := e.Live.Get(ctx, client.ObjectKey{Namespace: step.Namespace, Name: step.Name}, live)
	switch {
	case err != nil && !apierrors.IsNotFound(err):
		return nil, err
	case err == nil && live.DeletionTimestamp.IsZero():
		return e.update(ctx, step)
	case err == nil:
		if err := e.free(ctx, step, live); err != nil {
			return nil, err
		}
	}
	object := inNamespace(step)
	if err := e.Writer.Create(ctx, object); err != nil {
		return nil, err
	}
	return &Written{Operation: plan.Create, Object: object}, verify(step, object)
}

// free completes the deletion of a policy. Until it is gone it is kept in the desired state: some
// plugins still enforce it.
func (e *Executor) free(ctx context.Context, step *plan.Step, live *networkingv1.NetworkPolicy) error {
	object := replacement(step, live, false)
	object.Finalizers = slices.DeleteFunc(slices.Clone(live.Finalizers), func(finalizer string) bool { return !policy.IsPluginFinalizer(finalizer) })
	object.ResourceVersion = "" // so that a client that writes in a loop cannot block the write
	if len(object.Finalizers) != len(live.Finalizers) || !matches(step, live) {
		if err := client.IgnoreNotFound(e.Writer.Update(ctx, object)); err != nil {
			return err
		}
	}
	if len(object.Finalizers) > 0 {
		return &KeptError{Name: step.Name, Finalizer: object.Finalizers[0]}
	}
	return nil
}

// replace overwrites the live object with the desired state. Guarded, it fails if the object has
// changed since it was read, so that no foreign metadata is lost. Unguarded, it sends no resource
// version, so a client that writes in a loop cannot block the repair.
func (e *Executor) replace(ctx context.Context, step *plan.Step, guarded bool) (*Written, error) {
	live := &networkingv1.NetworkPolicy{}
	if err := e.Live.Get(ctx, client.ObjectKey{Namespace: step.Namespace, Name: step.Name}, live); err != nil {
		return nil, err
	}
	found := plan.Observe(live)
	if plan.Matches(step.Desired, found) {
		return nil, nil // the cache was behind: there is nothing to write
	}
	harmless := policy.OpensNothing(&live.Spec, &step.Desired.Policy.Spec)
	if err := e.permitted(step, live, found, harmless); err != nil {
		return nil, err
	}
	takenOver := !policy.WasOurs(live)
	object := replacement(step, live, takenOver)
	if !guarded {
		object.ResourceVersion = ""
	}
	if err := e.Writer.Update(ctx, object); err != nil {
		return nil, err
	}
	return &Written{
		Operation: plan.Update, Object: object, TakenOver: takenOver,
		Found: found, Harmless: harmless && found.Owner == step.Owner(),
	}, nil
}

// permitted returns why a policy may not be replaced; nil if it may.
func (e *Executor) permitted(step *plan.Step, live *networkingv1.NetworkPolicy, found plan.Observed, harmless bool) error {
	switch {
	case step.OnlyToClose && (harmless || policy.IsPlausible(step.Name, &live.Spec, step.Labels)):
		return &LeftError{Name: step.Name, Found: found}
	case (!e.Confirmed || step.OnlyToClose) && step.Loosens(found):
		return ErrUnconfirmed // even a confirmed write must not open what it is only meant to close
	}
	return nil
}

// remove deletes exactly the object, in exactly the state, that the plan observed. If its state has
// changed, it is deleted in any state as long as it is the same object and still carries our label,
// so that a client that keeps writing to it cannot keep it.
func (e *Executor) remove(ctx context.Context, step *plan.Step) (*Written, error) {
	found := step.Found
	object := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: step.Namespace, Name: step.Name, UID: found.UID}}
	err := e.Writer.Delete(ctx, object, client.Preconditions{UID: &found.UID, ResourceVersion: &found.ResourceVersion})
	if apierrors.IsConflict(err) {
		live := &networkingv1.NetworkPolicy{}
		if err := e.Live.Get(ctx, client.ObjectKeyFromObject(object), live); err != nil {
			return nil, client.IgnoreNotFound(err)
		}
		if now := plan.Observe(live); now.UID != found.UID || now.Owner != found.Owner || !now.Ours {
			return nil, err
		}
		err = e.Writer.Delete(ctx, object, client.Preconditions{UID: &found.UID})
	}
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &Written{Operation: plan.Delete, Object: object}, nil
}

// replacement returns the live object with everything of ours restored. Foreign labels, annotations
// and finalizers stay, within limits.
func replacement(step *plan.Step, live *networkingv1.NetworkPolicy, takenOver bool) *networkingv1.NetworkPolicy {
	desired, object := step.Desired.Policy, live.DeepCopy()
	if sizeOf(object.Labels)+sizeOf(object.Annotations)+len(strings.Join(object.Finalizers, "")) > maxForeignMetadata {
		object.Labels, object.Annotations, object.Finalizers = nil, nil, nil
	}
	object.Labels = merged(object.Labels, desired.Labels)
	object.Annotations = merged(object.Annotations, desired.Annotations)
	if takenOver {
		if old, err := json.Marshal(live.Spec); err == nil && len(old) <= maxReplacedSpec {
			object.Annotations[v1alpha1.ReplacedSpecAnnotation] = string(old)
		}
	}
	object.OwnerReferences = nil // through a foreign one, garbage collection would delete the policy
	object.GenerateName = ""     // unused after creation, and an update may fill it with 1 MiB: only a create checks its length
	object.ManagedFields = nil   // leaves them unchanged
	if sizeOfManagers(live.ManagedFields) > maxForeignMetadata {
		object.ManagedFields = []metav1.ManagedFieldsEntry{{}} // reset them: https://kubernetes.io/docs/reference/using-api/server-side-apply/#clearing-managedfields
	}
	desired.Spec.DeepCopyInto(&object.Spec)
	return object
}

func sizeOfManagers(managers []metav1.ManagedFieldsEntry) int {
	size := 0
	for i := range managers {
		if fields := managers[i].FieldsV1; fields != nil {
			size += len(fields.GetRawBytes())
		}
	}
	return size
}

func sizeOf(metadata map[string]string) int {
	size := 0
	for key, value := range metadata {
		size += len(key) + len(value)
	}
	return size
}

func merged(foreign, ours map[string]string) map[string]string {
	all := make(map[string]string, len(foreign)+len(ours))
	maps.Copy(all, foreign)
	maps.Copy(all, ours)
	return all
}

func matches(step *plan.Step, object *networkingv1.NetworkPolicy) bool {
	return plan.Matches(step.Desired, plan.Observe(object))
}

// verify compares what the API server stored with what was sent.
func verify(step *plan.Step, stored *networkingv1.NetworkPolicy) error {
	if matches(step, stored) {
		return nil
	}
	return &AlteredError{Name: step.Name, Stored: plan.Observe(stored)}
}
