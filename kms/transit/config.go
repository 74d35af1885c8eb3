package transit

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/sealwright/sealwright/internal/pathfield"
	"github.com/sealwright/sealwright/kms"
)

// Type is the provider's name in blobs and errors.
const Type = "transit"

// Config says which key, where it is, and who asks.
type Config struct {
	// Address is the server's URL, https://vault.example:8200, also with a
	// path where a proxy puts it under one. It is required.
	Address string

	// Token authenticates every request. Exactly one of Token and TokenFile is
	// required.
	Token string
	// TokenFile is a file with a token and nothing else but white space, such
	// as the sink of an agent. It is read anew on every call.
	TokenFile string

	// Namespace is the namespace of mount and token; "" is the root namespace.
	Namespace string
	// MountPath is where the engine is mounted; "" means "transit".
	MountPath string
	// KeyName is the name of the key. It is required.
	KeyName string
	// KeyIDPrefix is put in front of the KeyID of blobs. It is part of the
	// key's identity: never change it while a blob is in use.
	KeyIDPrefix string

	// CACert and CAPath are a PEM file, and a directory of PEM files, with the
	// only CAs that are trusted. They are read anew on every call. If both are
	// empty the system's are.
	CACert, CAPath string
	// ClientCert and ClientKey are PEM files. They go together, and are read
	// anew for every connection.
	ClientCert, ClientKey string
	// ServerName is the name that the server's certificate must have; ""
	// means Address's.
	ServerName string
	// SkipVerify accepts every certificate. Whoever is on the way then reads
	// the token and the keys.
	SkipVerify bool
	// AllowPlainHTTP allows an Address with http that is not a loopback one.
	// Whoever is on the way then reads the token and the keys.
	AllowPlainHTTP bool

	// HTTPClient makes the requests, in place of a client that trusts what the
	// fields above say and knows no proxy. Redirects are not followed.
	HTTPClient *http.Client

	// DisableRenewal makes Run leave the token alone.
	DisableRenewal bool

	// Timeout bounds a call whose context has no deadline. 0 means 10 seconds.
	Timeout time.Duration
}

// A Wrapper wraps with one key of the engine. It is a [kms.Wrapper], a
// [kms.Prober] and a [kms.Authenticator].
type Wrapper struct {
	cfg    Config        // completed, and without the token
	fixed  func() string // Config.Token, in a closure, which no printer opens
	base   string        // the URL up to and with "/v1/"
	client *http.Client  // the host's; nil: one is made for each call
	keyID  string
}

var (
	_ kms.Wrapper       = (*Wrapper)(nil)
	_ kms.Prober        = (*Wrapper)(nil)
	_ kms.Authenticator = (*Wrapper)(nil)
)

var (
	keyNames = regexp.MustCompile(`^\w([\w.-]*\w)?$`) // what the engine takes
	segments = regexp.MustCompile(`^[\w.~@:+-]+$`)    // what needs no escape
	tokens   = regexp.MustCompile(`^[!-~]+$`)         // what a header may hold
)

// New returns a Wrapper, or [kms.ErrMisconfigured]. It makes no request and reads
// no file: one that is missing is an error of the call that needs it.
func New(cfg Config) (*Wrapper, error) {
	w := &Wrapper{cfg: cfg}
	if err := w.complete(); err != nil {
		return nil, w.failure("configure", kms.ErrMisconfigured, err)
	}
	w.fixed = func() string { return cfg.Token }
	w.cfg.Token = ""
	return w, nil
}

// complete checks the configuration and derives the rest of w from it.
func (w *Wrapper) complete() error {
	c := &w.cfg
	base, err := c.baseURL()
	if err != nil {
		return err
	}
	w.base = base
	if (c.Token == "") == (c.TokenFile == "") {
		return errors.New("exactly one of Token and TokenFile must be set")
	}
	if c.Token != "" && !tokens.MatchString(c.Token) {
		return errors.New("the field Token has characters that no token has")
	}
	if c.MountPath == "" {
		c.MountPath = "transit"
	}
	if c.MountPath, err = cleanPath("MountPath", c.MountPath); err != nil {
		return err
	}
	if c.Namespace != "" {
		if c.Namespace, err = cleanPath("Namespace", c.Namespace); err != nil {
			return err
		}
	}
	if !keyNames.MatchString(c.KeyName) {
		return fmt.Errorf("KeyName %q is no name of a key", c.KeyName)
	}
	w.keyID = c.KeyIDPrefix + c.MountPath + "/" + c.KeyName
	if c.Namespace != "" {
		w.keyID = c.KeyIDPrefix + c.Namespace + "/" + c.MountPath + "/" + c.KeyName
	}
	if c.Timeout < 0 {
		return errors.New("the field Timeout is negative")
	}
	if c.Timeout == 0 {
		c.Timeout = 10 * time.Second
	}
	return w.connect()
}

// connect checks what makes connections, and resolves the paths of files.
func (w *Wrapper) connect() error {
	c := &w.cfg
	for field, value := range map[string]*string{
		"TokenFile": &c.TokenFile, "CACert": &c.CACert, "CAPath": &c.CAPath, "ClientCert": &c.ClientCert, "ClientKey": &c.ClientKey,
	} {
		path, err := pathfield.Resolve(field, *value, false)
		if err != nil {
			return err
		}
		*value = path
	}
	if (c.ClientCert == "") != (c.ClientKey == "") {
		return errors.New("ClientCert and ClientKey go together")
	}
	if c.HTTPClient == nil {
		return nil
	}
	if c.CACert != "" || c.CAPath != "" || c.ClientCert != "" || c.ServerName != "" || c.SkipVerify {
		return errors.New("HTTPClient excludes CACert, CAPath, ClientCert, ClientKey, ServerName and SkipVerify")
	}
	client := *c.HTTPClient
	client.CheckRedirect = noRedirect
	w.client = &client
	return nil
}

func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// connection returns the client for one call: hours lie between two, and files
// that were replaced meanwhile count.
func (w *Wrapper) connection() (*http.Client, error) {
	if w.client != nil {
		return w.client, nil
	}
	tlsConfig, err := w.cfg.tlsConfig()
	if err != nil {
		return nil, err
	}
	return &http.Client{
		Transport:     &http.Transport{TLSClientConfig: tlsConfig, DisableKeepAlives: true},
		CheckRedirect: noRedirect,
	}, nil
}

// baseURL returns the URL that the API's paths follow.
func (c *Config) baseURL() (string, error) {
	u, err := url.Parse(c.Address)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		// The address itself may hold a password, and is not repeated.
		return "", errors.New("the field Address is not a URL like https://vault.example:8200")
	}
	switch u.Scheme {
	case "https":
	case "http":
		ip := net.ParseIP(u.Hostname())
		if !c.AllowPlainHTTP && u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback()) {
			return "", errors.New("the field Address is http: use https, or set AllowPlainHTTP where something else protects the way")
		}
	default:
		return "", fmt.Errorf("the field Address has the scheme %q: use https", u.Scheme)
	}
	return u.JoinPath("v1").String() + "/", nil
}

// cleanPath returns a path of the server's without slashes at its ends.
func cleanPath(field, path string) (string, error) {
	path = strings.Trim(path, "/")
	for s := range strings.SplitSeq(path, "/") {
		if !segments.MatchString(s) || s == "." || s == ".." {
			return "", fmt.Errorf("%s %q is no path", field, path)
		}
	}
	return path, nil
}

// tlsConfig returns what the TLS fields say.
func (c *Config) tlsConfig() (*tls.Config, error) {
	t := &tls.Config{
		MinVersion:         tls.VersionTLS12,
		ServerName:         c.ServerName,
		InsecureSkipVerify: c.SkipVerify,
	}
	var err error
	if t.RootCAs, err = c.roots(); err != nil {
		return nil, err
	}
	if c.ClientCert != "" {
		t.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			pair, err := tls.LoadX509KeyPair(c.ClientCert, c.ClientKey)
			if err != nil {
				return nil, &clientCertError{pathfield.Error("ClientCert or ClientKey", c.ClientCert, err)}
			}
			return &pair, nil
		}
	}
	return t, nil
}
