package privilege

import (
	"fmt"
	"slices"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/netbaseline/netbaseline/test/utils/manifests"
)

// Grant is a permission that a role gives.
type Grant struct {
	Permission
	// Role is its kind and its name.
	Role string
	// Name is that of the only object it is about; empty for any.
	Name string
}

// Grants returns what the roles in a text of manifests give to a service account, one grant for
// each name of an object.
func Grants(text, namespace, account string) ([]Grant, error) {
	var all roles
	if err := all.read(text); err != nil {
		return nil, err
	}
	subject := rbacv1.Subject{Kind: rbacv1.ServiceAccountKind, Namespace: namespace, Name: account}
	var grants []Grant
	for _, binding := range all.bindings {
		if !slices.Contains(binding.Subjects, subject) {
			continue
		}
		bound := binding.RoleRef.Kind + " " + binding.RoleRef.Name
		rules, ok := all.rules[bound]
		if !ok {
			return nil, fmt.Errorf("%s is bound and not there", bound)
		}
		more, err := Expand(bound, rules)
		if err != nil {
			return nil, err
		}
		grants = append(grants, more...)
	}
	return grants, nil
}

// roles are the roles of manifests by kind and name, and the bindings of both kinds.
type roles struct {
	rules    map[string][]rbacv1.PolicyRule
	bindings []rbacv1.ClusterRoleBinding
}

func (r *roles) read(text string) error {
	r.rules = map[string][]rbacv1.PolicyRule{}
	objects, err := manifests.Objects(text)
	if err != nil {
		return err
	}
	for _, object := range objects {
		if err := r.add(object); err != nil {
			return fmt.Errorf("%s %s: %w", object.GetKind(), object.GetName(), err)
		}
	}
	return nil
}

// add notes a role or a binding. Those of a namespace have the same fields as those of the cluster.
func (r *roles) add(object *unstructured.Unstructured) error {
	convert := runtime.DefaultUnstructuredConverter.FromUnstructured
	switch object.GetKind() {
	case "Role", "ClusterRole":
		role := rbacv1.ClusterRole{}
		if err := convert(object.Object, &role); err != nil {
			return err
		}
		r.rules[role.Kind+" "+role.Name] = role.Rules
	case "RoleBinding", "ClusterRoleBinding":
		binding := rbacv1.ClusterRoleBinding{}
		if err := convert(object.Object, &binding); err != nil {
			return err
		}
		r.bindings = append(r.bindings, binding)
	}
	return nil
}

// Expand takes the rules of a role apart.
func Expand(role string, rules []rbacv1.PolicyRule) (grants []Grant, err error) {
	for i := range rules {
		rule := &rules[i]
		if len(rule.NonResourceURLs) > 0 {
			return nil, fmt.Errorf("%s: paths are not understood here: %v", role, rule.NonResourceURLs)
		}
		names := rule.ResourceNames
		if len(names) == 0 {
			names = []string{""}
		}
		for _, permission := range permissionsOf(rule) {
			if slices.Contains([]string{permission.Group, permission.Resource, permission.Verb}, "*") {
				return nil, fmt.Errorf("%s grants more than can be looked at: %s", role, permission)
			}
			for _, name := range names {
				grants = append(grants, Grant{permission, role, name})
			}
		}
	}
	return grants, nil
}

func permissionsOf(rule *rbacv1.PolicyRule) (permissions []Permission) {
	for _, group := range rule.APIGroups {
		for _, resource := range rule.Resources {
			for _, verb := range rule.Verbs {
				permissions = append(permissions, Permission{group, resource, verb})
			}
		}
	}
	return permissions
}

// Without returns rules that give all that others give, except a permission.
func Without(rules []rbacv1.PolicyRule, lost Permission) (left []rbacv1.PolicyRule) {
	for i := range rules {
		for _, permission := range permissionsOf(&rules[i]) {
			if permission != lost {
				left = append(left, rbacv1.PolicyRule{
					APIGroups: []string{permission.Group}, Resources: []string{permission.Resource}, Verbs: []string{permission.Verb},
					ResourceNames: rules[i].ResourceNames,
				})
			}
		}
	}
	return left
}
