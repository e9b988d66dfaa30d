// Package apply owns every write of a NetworkPolicy. It carries out a plan, checks what the API server stored, and puts the
// refusals of the API server into reasons that a status can show. It decides nothing about who governs a namespace.
package apply

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
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

// maxReplacedSpec is the size, in bytes, up to which the spec of a replaced foreign policy is kept in an annotation. All
// annotations of an object together may have 256 KiB, and nobody reads more than a few pages by hand.
const maxReplacedSpec = 16 << 10

// maxForeignMetadata is the size, in bytes, up to which foreign labels, annotations and finalizers of a policy are kept, and up to
// which its managedFields are. Whoever could fill the object to the API server's limits could keep us from writing it, and so keep it
// open: annotations may have 256 KiB, and an object about 1.5 MiB.
const maxForeignMetadata = 64 << 10

// Executor carries out plans. Live must read from the API server itself: a cache may lag behind or leave objects out.
type Executor struct {
	Writer client.Writer
	Live   client.Reader
	// Confirmed says that plans stand on what the API server itself says. Without it, protection is added and put right, and never
	// taken away: see ErrUnconfirmed.
	Confirmed bool
}

// Written is a write that was made.
type Written struct {
	Operation plan.Operation
	// Object is what the API server stored; for a removal, no more than its namespace, name and UID.
	Object *networkingv1.NetworkPolicy
	// TakenOver says that a foreign object lay under the name and was replaced.
	TakenOver bool
	// Found is what an update has replaced, and OpenedNothing says that it allowed nothing that the desired policy does not.
	Found         plan.Observed
	OpenedNothing bool
}

// Execute carries out a plan and returns the writes that were made, also when it fails. Stages follow each other; a write that is
// refused ends the plan with its stage. One that the API server altered does not: the policy is in place, and leaving out the
// others would open the namespace further. Understand the error with Explain.
func (e *Executor) Execute(ctx context.Context, p plan.Plan) ([]Written, error) {
	if p.Deletes() && !e.Confirmed {
		return nil, ErrUnconfirmed
	}
	var written []Written
	var altered error
	for _, stage := range p {
		done, err := e.executeStage(ctx, stage)
		written = append(written, done...)
		if err != nil && !onlyAltered(err) {
			return written, errors.Join(err, altered)
		}
		altered = errors.Join(altered, err)
	}
	return written, altered
}

func (e *Executor) executeStage(ctx context.Context, stage plan.Stage) ([]Written, error) {
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
	return written, joined(errs)
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
	}
	if err != nil {
		return written, fmt.Errorf("%s %s: %w", step.Operation, step.Name, err)
	}
	return written, nil
}

// create writes a policy that the cache does not know. The cache knows only objects with our label, so the name may be taken all
// the same; then whatever lies there is brought to the desired state.
func (e *Executor) create(ctx context.Context, step *plan.Step) (*Written, error) {
	object := step.Desired.Policy.DeepCopy()
	err := e.Writer.Create(ctx, object)
	if apierrors.IsAlreadyExists(err) {
		return e.update(ctx, step)
	}
	if err != nil {
		return nil, err
	}
	return &Written{Operation: plan.Create, Object: object}, verify(step, object)
}

// update reads a policy live and replaces the whole of it. Server-side apply could not do that: it leaves in place a rule that
// somebody else added.
func (e *Executor) update(ctx context.Context, step *plan.Step) (*Written, error) {
	written, err := e.replace(ctx, step, true)
	if apierrors.IsConflict(err) {
		written, err = e.replace(ctx, step, false)
	}
	switch {
	case apierrors.IsNotFound(err) && step.Operation == plan.Update:
		return e.create(ctx, &plan.Step{Operation: plan.Create, Namespace: step.Namespace, Name: step.Name, Desired: step.Desired})
	case err != nil || written == nil:
		return nil, err
	}
	return written, verify(step, written.Object)
}

// replace puts the desired state over the live one. Guarded, it does so only if nobody has written since the object was read, so that
// no foreign metadata is lost. Unguarded, it does so all the same: who writes faster than we do must not win by that.
func (e *Executor) replace(ctx context.Context, step *plan.Step, guarded bool) (*Written, error) {
	live := &networkingv1.NetworkPolicy{}
	if err := e.Live.Get(ctx, client.ObjectKeyFromObject(step.Desired.Policy), live); err != nil {
		return nil, err
	}
	if matches(step, live) {
		return nil, nil // the cache was behind: there is nothing to write
	}
	if !e.Confirmed && opens(live, step.Desired.Policy) {
		return nil, ErrUnconfirmed
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
		Found: plan.Observe(live), OpenedNothing: policy.OpensNothing(&live.Spec, &step.Desired.Policy.Spec),
	}, nil
}

// remove deletes exactly the object, in exactly the state, that was judged. If that state has passed, the object is judged again: while it
// is the same object and still carries our label, who keeps writing to it does not keep it.
func (e *Executor) remove(ctx context.Context, step *plan.Step) (*Written, error) {
	object := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: step.Namespace, Name: step.Name, UID: step.UID}}
	err := e.Writer.Delete(ctx, object, client.Preconditions{UID: &step.UID, ResourceVersion: &step.ResourceVersion})
	if apierrors.IsConflict(err) {
		live := &networkingv1.NetworkPolicy{}
		if err := e.Live.Get(ctx, client.ObjectKeyFromObject(object), live); err != nil {
			return nil, client.IgnoreNotFound(err)
		}
		if live.UID != step.UID || plan.Observe(live).Owner != step.Owner {
			return nil, err
		}
		err = e.Writer.Delete(ctx, object, client.Preconditions{UID: &step.UID})
	}
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &Written{Operation: plan.Delete, Object: object}, nil
}

// replacement returns the live object with everything that is ours put right. Foreign labels, annotations and finalizers stay,
// within bounds.
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
	object.GenerateName = ""     // means nothing any more, and an update may fill it with a MiB: only a create has its length checked
	object.ManagedFields = nil   // as they are
	if sizeOfManagers(live.ManagedFields) > maxForeignMetadata {
		object.ManagedFields = []metav1.ManagedFieldsEntry{{}} // begin anew: https://kubernetes.io/docs/reference/using-api/server-side-apply/#clearing-managedfields
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

// opens says whether a direction would no longer be isolated by a policy that isolates it now. The API server always fills in policyTypes.
func opens(live, desired *networkingv1.NetworkPolicy) bool {
	return slices.ContainsFunc(live.Spec.PolicyTypes, func(direction networkingv1.PolicyType) bool {
		return !slices.Contains(desired.Spec.PolicyTypes, direction)
	})
}

func merged(foreign, ours map[string]string) map[string]string {
	all := make(map[string]string, len(foreign)+len(ours))
	maps.Copy(all, foreign)
	maps.Copy(all, ours)
	return all
}

func matches(step *plan.Step, object *networkingv1.NetworkPolicy) bool {
	return len(plan.Converge(step.Namespace, []policy.Desired{step.Desired}, plan.Inventory{step.Name: plan.Observe(object)}, false)) == 0
}

// verify compares what the API server stored with what was sent.
func verify(step *plan.Step, stored *networkingv1.NetworkPolicy) error {
	if matches(step, stored) {
		return nil
	}
	return &AlteredError{Name: step.Name, Stored: plan.Observe(stored)}
}
