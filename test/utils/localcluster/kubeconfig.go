package localcluster

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// serviceAccountTokenLifetime outlasts any test and any demo.
const serviceAccountTokenLifetime = 24 * time.Hour

// KubeconfigPath is a kubeconfig file of the administrator, in Dir.
func (c *Cluster) KubeconfigPath() string {
	return filepath.Join(c.directory.path, "admin.kubeconfig")
}

// Config returns a fresh client configuration of the administrator, a member of system:masters,
// without a client-side rate limit. Callers may change it.
func (c *Cluster) Config() *rest.Config {
	return rest.CopyConfig(c.config)
}

// ConfigFor is Config impersonating a user. The API server adds system:authenticated, and to the
// name of a service account, if no groups are given, that account's groups. Only what RBAC grants
// to these is allowed.
func (c *Cluster) ConfigFor(user string, groups ...string) *rest.Config {
	config := c.Config()
	config.Impersonate = rest.ImpersonationConfig{UserName: user, Groups: groups}
	return config
}

// ServiceAccountKubeconfig requests a token of an existing service account, valid for 24 hours, and
// writes a kubeconfig with it into Dir. Writing it again replaces the file. It fails if the service
// account does not exist; note that a namespace's `default` account appears shortly after the
// namespace.
func (c *Cluster) ServiceAccountKubeconfig(ctx context.Context, namespace, name string) (path string, err error) {
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{
		ExpirationSeconds: new(int64(serviceAccountTokenLifetime / time.Second)),
	}}
	response, err := c.clientset.CoreV1().ServiceAccounts(namespace).CreateToken(ctx, name, request, metav1.CreateOptions{})
	if err != nil {
		return "", fmt.Errorf("request a token of service account %s/%s: %w", namespace, name, err)
	}
	dir, err := c.directory.subdirectory("serviceaccounts")
	if err != nil {
		return "", err
	}
	// No name of a namespace or service account contains an underscore.
	path = filepath.Join(dir, namespace+"_"+name+".kubeconfig")
	user := clientcmdapi.AuthInfo{Token: response.Status.Token}
	if err := writeKubeconfig(path, c.config.Host, c.config.CAData, namespace, user); err != nil {
		return "", err
	}
	return path, nil
}

// writeKubeconfig writes a file that holds everything, so that it can be copied elsewhere on this
// machine.
func writeKubeconfig(path, server string, ca []byte, namespace string, user clientcmdapi.AuthInfo) error {
	const name = "localcluster"
	config := clientcmdapi.NewConfig()
	config.Clusters[name] = &clientcmdapi.Cluster{Server: server, CertificateAuthorityData: ca}
	config.AuthInfos[name] = &user
	config.Contexts[name] = &clientcmdapi.Context{Cluster: name, AuthInfo: name, Namespace: namespace}
	config.CurrentContext = name
	if err := clientcmd.WriteToFile(*config, path); err != nil {
		return fmt.Errorf("write kubeconfig %s: %w", path, err)
	}
	return nil
}

// clientCertificate reads a user's certificate and key for a kubeconfig.
func clientCertificate(certPath, keyPath string) (clientcmdapi.AuthInfo, error) {
	certificate, err := os.ReadFile(certPath)
	if err != nil {
		return clientcmdapi.AuthInfo{}, err
	}
	key, err := os.ReadFile(keyPath)
	if err != nil {
		return clientcmdapi.AuthInfo{}, err
	}
	return clientcmdapi.AuthInfo{ClientCertificateData: certificate, ClientKeyData: key}, nil
}

// writeKubeconfigs writes those of the administrator and of the controller manager, and returns the
// administrator's client configuration.
func (c *Cluster) writeKubeconfigs() (*rest.Config, error) {
	server := "https://" + address(c.apiServerPort)
	ca, err := os.ReadFile(c.pki.caCert())
	if err != nil {
		return nil, err
	}
	admin, err := clientCertificate(c.pki.adminCert(), c.pki.adminKey())
	if err != nil {
		return nil, err
	}
	controllerManager, err := clientCertificate(c.pki.controllerCert(), c.pki.controllerKey())
	if err != nil {
		return nil, err
	}
	if err := writeKubeconfig(c.KubeconfigPath(), server, ca, metav1.NamespaceDefault, admin); err != nil {
		return nil, err
	}
	if err := writeKubeconfig(c.controllerKubeconfig(), server, ca, metav1.NamespaceDefault, controllerManager); err != nil {
		return nil, err
	}
	return &rest.Config{
		Host:            server,
		TLSClientConfig: rest.TLSClientConfig{CAData: ca, CertData: admin.ClientCertificateData, KeyData: admin.ClientKeyData},
		QPS:             -1,
	}, nil
}

func (c *Cluster) controllerKubeconfig() string {
	return filepath.Join(c.directory.path, "controller-manager.kubeconfig")
}
