package harness

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Token makes a service account in the namespace default and returns a token of it that is valid
// for a day.
func (e *Environment) Token(ctx context.Context, account string) (string, error) {
	made := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceDefault, Name: account}}
	if err := e.Admin.Create(ctx, made); err != nil {
		return "", fmt.Errorf("make the account %s: %w", account, err)
	}
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: new(int64(24 * 60 * 60))}}
	if err := e.Admin.SubResource("token").Create(ctx, made, request); err != nil {
		return "", fmt.Errorf("get a token of %s: %w", account, err)
	}
	return request.Status.Token, nil
}

// LetReadMetrics gives an account of the namespace default the right to read the manager's metrics.
func (e *Environment) LetReadMetrics(ctx context.Context, account string) error {
	return e.Admin.Create(ctx, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: account},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "netbaseline-metrics-reader"},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: metav1.NamespaceDefault, Name: account}},
	})
}

// Leader returns the holder of the manager's lease, "" if it was released. It is an error if there
// is no lease.
func (e *Environment) Leader(ctx context.Context) (string, error) {
	lease := &coordinationv1.Lease{}
	err := e.Admin.Get(ctx, client.ObjectKey{Namespace: OperatorNamespace, Name: LeaseName}, lease)
	if err != nil || lease.Spec.HolderIdentity == nil {
		return "", err
	}
	return *lease.Spec.HolderIdentity, nil
}

var anyCertificate = &http.Client{
	Timeout:   time.Minute,
	Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}, //nolint:gosec // the certificate is made at each start
}

// Get sends a request to a manager, with a token or, if it is empty, without. The caller closes the
// body.
func Get(ctx context.Context, url, token string) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return nil, err
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	return anyCertificate.Do(request)
}

// GetStatus is Get, but returns only the status code.
func GetStatus(ctx context.Context, url, token string) (int, error) {
	response, err := Get(ctx, url, token)
	if err != nil {
		return 0, err
	}
	return response.StatusCode, response.Body.Close()
}
