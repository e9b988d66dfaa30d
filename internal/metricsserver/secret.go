package metricsserver

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"

	certutil "k8s.io/client-go/util/cert"
	"sigs.k8s.io/controller-runtime/pkg/certwatcher"
	"sigs.k8s.io/controller-runtime/pkg/manager"
)

// secretOf returns the TLS configuration: with the certificate in a directory, which the manager
// watches from then on, or with a self-signed one.
func secretOf(mgr manager.Manager, directory string) (*tls.Config, error) {
	// HTTP/2 is of no use to a scraper and has had its share of denial-of-service vulnerabilities.
	config := &tls.Config{NextProtos: []string{"http/1.1"}}
	certificate, key := filepath.Join(directory, "tls.crt"), filepath.Join(directory, "tls.key")
	if directory == "" || missing(certificate) || missing(key) {
		made, err := selfSigned()
		config.Certificates = []tls.Certificate{made}
		return config, err
	}
	watcher, err := certwatcher.New(certificate, key)
	if err != nil {
		return nil, fmt.Errorf("read the certificate for metrics: %w", err)
	}
	config.GetCertificate = watcher.GetCertificate
	return config, mgr.Add(watcher)
}

func missing(path string) bool {
	_, err := os.Stat(path)
	return errors.Is(err, fs.ErrNotExist)
}

func selfSigned() (tls.Certificate, error) {
	certificate, key, err := certutil.GenerateSelfSignedCertKey("localhost", []net.IP{{127, 0, 0, 1}}, nil)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("make a certificate for metrics: %w", err)
	}
	return tls.X509KeyPair(certificate, key)
}
