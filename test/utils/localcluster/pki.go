package localcluster

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	"k8s.io/client-go/util/cert"
	"k8s.io/client-go/util/keyutil"
)

const (
	adminUser             = "localcluster-admin"
	adminGroup            = "system:masters"
	controllerManagerUser = "system:kube-controller-manager"
	certificateLifetime   = 10 * 365 * 24 * time.Hour
	clockSkew             = time.Hour
	serialNumberBits      = 127
	privateFileMode       = 0o600
	privateDirMode        = 0o700
	certificatePEMType    = "CERTIFICATE"
	authorityName         = "localcluster-ca"
)

// pki names the files with the cluster's certificates and keys.
type pki struct {
	dir string
}

func (p pki) caCert() string            { return filepath.Join(p.dir, "ca.crt") }
func (p pki) servingCert() string       { return filepath.Join(p.dir, "serving.crt") }
func (p pki) servingKey() string        { return filepath.Join(p.dir, "serving.key") }
func (p pki) adminCert() string         { return filepath.Join(p.dir, "admin.crt") }
func (p pki) adminKey() string          { return filepath.Join(p.dir, "admin.key") }
func (p pki) controllerCert() string    { return filepath.Join(p.dir, "controller-manager.crt") }
func (p pki) controllerKey() string     { return filepath.Join(p.dir, "controller-manager.key") }
func (p pki) serviceAccountKey() string { return filepath.Join(p.dir, "service-account.key") }
func (p pki) serviceAccountPub() string { return filepath.Join(p.dir, "service-account.pub") }

// complete is written last, so a directory that has it has everything.
func (p pki) complete() string { return filepath.Join(p.dir, "complete") }

// ensurePKI creates what is needed in dir, or keeps what an earlier cluster left there, so that its
// tokens stay valid.
func ensurePKI(dir string) (pki, error) {
	p := pki{dir: dir}
	if _, err := os.Stat(p.complete()); err == nil {
		return p, nil
	}
	if err := p.create(); err != nil {
		return pki{}, fmt.Errorf("create certificates in %s: %w", dir, err)
	}
	return p, nil
}

func (p pki) create() error {
	if err := os.MkdirAll(p.dir, privateDirMode); err != nil {
		return err
	}
	authority, err := newAuthority()
	if err != nil {
		return err
	}
	if err := writeFile(p.caCert(), encodeCertificate(authority.certificate.Raw)); err != nil {
		return err
	}
	if err := authority.issueAll(p); err != nil {
		return err
	}
	if err := p.createServiceAccountKeys(); err != nil {
		return err
	}
	return writeFile(p.complete(), nil)
}

// createServiceAccountKeys makes the pair that signs and verifies service account tokens.
func (p pki) createServiceAccountKeys() error {
	key, err := newKey()
	if err != nil {
		return err
	}
	private, err := keyutil.MarshalPrivateKeyToPEM(key)
	if err != nil {
		return err
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return err
	}
	if err := writeFile(p.serviceAccountKey(), private); err != nil {
		return err
	}
	return writeFile(p.serviceAccountPub(), pem.EncodeToMemory(&pem.Block{Type: keyutil.PublicKeyBlockType, Bytes: public}))
}

// clientTLS authenticates as the administrator and trusts the cluster's authority only.
func (p pki) clientTLS() (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(p.adminCert(), p.adminKey())
	if err != nil {
		return nil, err
	}
	pool, err := cert.NewPool(p.caCert())
	if err != nil {
		return nil, err
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}, RootCAs: pool, MinVersion: tls.VersionTLS12}, nil
}

// authority signs the cluster's certificates; its key is never written.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func newAuthority() (*authority, error) {
	key, err := newKey()
	if err != nil {
		return nil, err
	}
	certificate, err := cert.NewSelfSignedCACert(cert.Config{CommonName: authorityName}, key)
	if err != nil {
		return nil, err
	}
	return &authority{certificate: certificate, key: key}, nil
}

func (a *authority) issueAll(p pki) error {
	serving := x509.Certificate{
		Subject:     pkix.Name{CommonName: apiServerBinary},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		IPAddresses: []net.IP{net.ParseIP(loopback)},
		DNSNames:    []string{"localhost"},
	}
	if err := a.issue(serving, p.servingCert(), p.servingKey()); err != nil {
		return err
	}
	if err := a.issue(client(adminUser, adminGroup), p.adminCert(), p.adminKey()); err != nil {
		return err
	}
	return a.issue(client(controllerManagerUser), p.controllerCert(), p.controllerKey())
}

// client describes a certificate that authenticates a user: to Kubernetes an organization is a
// group.
func client(user string, groups ...string) x509.Certificate {
	return x509.Certificate{
		Subject:     pkix.Name{CommonName: user, Organization: groups},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
}

func (a *authority) issue(template x509.Certificate, certPath, keyPath string) error {
	key, err := newKey()
	if err != nil {
		return err
	}
	template.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), serialNumberBits))
	if err != nil {
		return err
	}
	template.NotBefore = time.Now().Add(-clockSkew)
	template.NotAfter = template.NotBefore.Add(certificateLifetime)
	template.KeyUsage = x509.KeyUsageDigitalSignature
	der, err := x509.CreateCertificate(rand.Reader, &template, a.certificate, key.Public(), a.key)
	if err != nil {
		return err
	}
	private, err := keyutil.MarshalPrivateKeyToPEM(key)
	if err != nil {
		return err
	}
	if err := writeFile(keyPath, private); err != nil {
		return err
	}
	return writeFile(certPath, encodeCertificate(der))
}

func newKey() (*ecdsa.PrivateKey, error) {
	return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
}

func encodeCertificate(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: certificatePEMType, Bytes: der})
}

func writeFile(path string, content []byte) error {
	return os.WriteFile(path, content, privateFileMode)
}
