package kubestore

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Config says where the Secret is, and how to reach the cluster. In a pod, Name alone
// will do.
type Config struct {
	// Name is the Secret's name. It is required.
	Name string

	// Namespace is the Secret's namespace. Empty is the pod's.
	Namespace string

	// Server is the API server's address, as "https://10.0.0.1:6443". Empty is the
	// cluster's in which the pod runs. Without TLS it has to be on loopback, as
	// kubectl proxy is.
	Server string

	// Client sends the requests, and says who asks. Nil is one with the pod's service
	// account, whose token is read for each request, as it is replaced every hour. It
	// is not changed; redirects are not followed.
	Client *http.Client

	// PollInterval is how often Watch asks, beside what the API server tells it of
	// itself. Zero is 10 seconds.
	PollInterval time.Duration
}

// account is where a pod has its service account.
const account = "/var/run/secrets/kubernetes.io/serviceaccount"

func (cfg Config) complete() (*client, Config, error) {
	if cfg.PollInterval < 0 {
		return nil, cfg, errors.New("PollInterval is negative")
	}
	if cfg.PollInterval == 0 {
		cfg.PollInterval = 10 * time.Second
	}
	if cfg.Namespace == "" {
		name, err := os.ReadFile(filepath.Join(account, "namespace"))
		if err != nil {
			return nil, cfg, fmt.Errorf("Namespace is empty, and this is no pod: %w", err)
		}
		cfg.Namespace = strings.TrimSpace(string(name))
	}
	for _, name := range []string{cfg.Name, cfg.Namespace} {
		if name == "" || len(name) > 253 || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-.") != "" || strings.Trim(name, "-.") != name {
			return nil, cfg, fmt.Errorf("%q is no name of a Kubernetes object", name)
		}
	}
	if cfg.Server == "" {
		host, port := os.Getenv("KUBERNETES_SERVICE_HOST"), os.Getenv("KUBERNETES_SERVICE_PORT")
		if host == "" || port == "" {
			return nil, cfg, errors.New("Server is empty, and this is no pod: KUBERNETES_SERVICE_HOST and _PORT are not set")
		}
		cfg.Server = "https://" + net.JoinHostPort(host, port)
	}
	if err := checkServer(cfg.Server); err != nil {
		return nil, cfg, err
	}
	c := &client{server: strings.TrimSuffix(cfg.Server, "/")}
	if cfg.Client == nil {
		own, err := podClient()
		if err != nil {
			return nil, cfg, err
		}
		cfg.Client, c.token = own, podToken
	}
	h := *cfg.Client
	h.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	c.http = &h
	return c, cfg, nil
}

func checkServer(server string) error {
	u, err := url.Parse(server)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return errors.New("Server is no address such as https://10.0.0.1:6443")
	}
	if u.Scheme == "https" {
		return nil
	}
	ip, err := netip.ParseAddr(u.Hostname())
	if u.Scheme == "http" && err == nil && ip.IsLoopback() {
		return nil
	}
	return errors.New("Server is without TLS, and not a loopback address")
}

// podClient returns a client that believes the cluster's own authority alone.
func podClient() (*http.Client, error) {
	pem, err := os.ReadFile(filepath.Join(account, "ca.crt"))
	if err != nil {
		return nil, fmt.Errorf("Client is nil, and this is no pod: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, errors.New("the pod's ca.crt holds no certificate")
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.Proxy = nil
	transport.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	return &http.Client{Transport: transport}, nil
}

func podToken() (string, error) {
	token, err := os.ReadFile(filepath.Join(account, "token"))
	if err != nil {
		return "", err
	}
	return strings.TrimSpace(string(token)), nil
}
