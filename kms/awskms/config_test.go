package awskms_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awssdk "github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/smithy-go/logging"

	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/awskms"
	"github.com/sealwright/sealwright/kms/awskms/awskmstest"
)

type logTo struct{ w *strings.Builder }

func (l logTo) Logf(_ logging.Classification, format string, v ...any) {
	fmt.Fprintf(l.w, format, v...)
}

const arn = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"

// bad are configurations that New refuses, and what it says of them.
var bad = map[string]struct {
	change func(*awskms.Config)
	env    map[string]string
	words  []string
}{
	"no key":             {func(c *awskms.Config) { c.KeyID = "" }, nil, []string{"KeyID is required"}},
	"ARN of a bucket":    {func(c *awskms.Config) { c.KeyID = "arn:aws:s3:::bucket" }, nil, []string{"KeyID is not the ARN of a KMS key"}},
	"ARN without region": {func(c *awskms.Config) { c.KeyID = "arn:aws:kms::111122223333:key/1" }, nil, []string{"KeyID is not the ARN"}},
	"half an ARN":        {func(c *awskms.Config) { c.KeyID = "arn:aws:kms:eu-west-1" }, nil, []string{"KeyID is neither"}},
	"ARN of a grant":     {func(c *awskms.Config) { c.KeyID = "arn:aws:kms:eu-west-1:111122223333:grant/1" }, nil, []string{"KeyID is neither"}},
	"a bare alias":       {func(c *awskms.Config) { c.KeyID = "alias/" }, nil, []string{`"alias/name"`}},
	"a path":             {func(c *awskms.Config) { c.KeyID = "a/b" }, nil, []string{"KeyID is neither"}},
	"spaces":             {func(c *awskms.Config) { c.KeyID = "my key" }, nil, []string{"KeyID is neither"}},
	"no region":          {func(c *awskms.Config) { c.KeyID = "alias/prod" }, nil, []string{"no region", "set Region"}},
	"another region":     {func(c *awskms.Config) { c.Region = "us-east-1" }, nil, []string{`"eu-west-1"`, `"us-east-1"`}},
	"no credentials":     {func(c *awskms.Config) { c.AccessKeyID, c.SecretAccessKey = "", "" }, nil, []string{"no credentials", "AllowEnvironment"}},
	"half a key":         {func(c *awskms.Config) { c.SecretAccessKey = "" }, nil, []string{"AccessKeyID and SecretAccessKey go together"}},
	"a token alone":      {func(c *awskms.Config) { c.AccessKeyID, c.SecretAccessKey, c.SessionToken = "", "", "t" }, nil, []string{"SessionToken only with them"}},
	"two kinds":          {func(c *awskms.Config) { c.CredentialsFile = "f" }, nil, []string{"AccessKeyID and CredentialsFile are both set"}},
	"a token, no role":   {func(c *awskms.Config) { c.AccessKeyID, c.SecretAccessKey, c.WebIdentityTokenFile = "", "", "f" }, nil, []string{"WebIdentityTokenFile needs RoleARN"}},
	"a session, no role": {func(c *awskms.Config) { c.RoleSessionName = "s" }, nil, []string{"RoleSessionName needs RoleARN"}},
	"a profile alone":    {func(c *awskms.Config) { c.Profile = "p" }, nil, []string{"a Profile needs CredentialsFile"}},
	"negative timeout":   {func(c *awskms.Config) { c.Timeout = -time.Second }, nil, []string{"the Timeout is negative"}},
	"no TLS":             {func(c *awskms.Config) { c.Endpoint = "http://kms.example.com" }, nil, []string{"needs https"}},
	"no TLS, an address": {func(c *awskms.Config) { c.Endpoint = "http://10.0.0.1:8080" }, nil, []string{"needs https"}},
	"no URL":             {func(c *awskms.Config) { c.Endpoint = "kms.example.com" }, nil, []string{"not a URL"}},
	"AWS, anonymous": {func(c *awskms.Config) { *c = awskms.Config{KeyID: arn, AWS: &aws.Config{}} }, nil,
		[]string{"AWS has no credentials"}},
	"AWS and a role": {func(c *awskms.Config) { *c = awskms.Config{KeyID: arn, AWS: hostConfig(), RoleARN: role} }, nil,
		[]string{"go with AWS"}},
	"AWS, and the environment": {func(c *awskms.Config) { *c = awskms.Config{KeyID: arn, AWS: hostConfig(), AllowEnvironment: true} }, nil,
		[]string{"go with AWS"}},
	"AWS without TLS": {func(c *awskms.Config) {
		*c = awskms.Config{KeyID: arn, AWS: hostConfig()}
		c.AWS.BaseEndpoint = aws.String("http://kms.example.com")
	}, nil, []string{"needs https"}},
	"Client and more": {func(c *awskms.Config) {
		*c = awskms.Config{KeyID: arn, Client: hostClient("eu-west-1"), Endpoint: "https://a"}
	}, nil,
		[]string{"only KeyID and Timeout go with Client"}},
	"Client elsewhere": {func(c *awskms.Config) { *c = awskms.Config{KeyID: arn, Client: hostClient("us-east-1")} }, nil,
		[]string{`"us-east-1"`, `"eu-west-1"`}},
	"Client nowhere": {func(c *awskms.Config) { *c = awskms.Config{KeyID: "alias/prod", Client: hostClient("")} }, nil,
		[]string{"the Client has no region"}},

	"environment without TLS": {func(c *awskms.Config) { c.AccessKeyID, c.SecretAccessKey = "", "" },
		map[string]string{"AWS_ENDPOINT_URL_KMS": "http://kms.example.com"}, []string{"needs https"}},
	"STS without TLS": {func(c *awskms.Config) { c.AccessKeyID, c.SecretAccessKey = "", "" },
		map[string]string{"AWS_ENDPOINT_URL_STS": "http://sts.example.com"}, []string{"STS", "needs https"}},
	"AWS_CA_BUNDLE and an HTTPClient": {func(c *awskms.Config) { c.HTTPClient = http.DefaultClient },
		map[string]string{"AWS_CA_BUNDLE": "/run/ca.pem"}, []string{"HTTPClient is set", "AWS_CA_BUNDLE cannot change whom it trusts"}},
	"FIPS and an Endpoint": {func(c *awskms.Config) { c.Endpoint = "https://kms.example.com" },
		map[string]string{"AWS_USE_FIPS_ENDPOINT": "true"}, []string{"KMS has an endpoint of its own", "AWS_USE_FIPS_ENDPOINT"}},
	"dual stack and an Endpoint": {func(c *awskms.Config) { c.Endpoint = "https://kms.example.com" },
		map[string]string{"AWS_USE_DUALSTACK_ENDPOINT": "true"}, []string{"KMS has an endpoint of its own", "AWS_USE_DUALSTACK_ENDPOINT"}},
	"FIPS and an endpoint of the environment": {func(c *awskms.Config) {},
		map[string]string{"AWS_USE_FIPS_ENDPOINT": "true", "AWS_ENDPOINT_URL": "https://kms.example.com"}, []string{"has an endpoint of its own", "AWS_USE_FIPS_ENDPOINT"}},
	"FIPS and an endpoint of STS": {func(c *awskms.Config) {},
		map[string]string{"AWS_USE_FIPS_ENDPOINT": "true", "AWS_ENDPOINT_URL_STS": "https://sts.example.com"}, []string{"STS has an endpoint of its own", "AWS_USE_FIPS_ENDPOINT"}},
	"FIPS and an endpoint of AWS": {func(c *awskms.Config) {
		*c = awskms.Config{KeyID: arn, AWS: hostConfig(), Endpoint: "https://kms.example.com"}
		c.AWS.ConfigSources = []any{config.LoadOptions{UseFIPSEndpoint: aws.FIPSEndpointStateEnabled}}
	}, nil, []string{"KMS has an endpoint of its own"}},
	"FIPS and an endpoint of the Client": {func(c *awskms.Config) {
		client := awssdk.New(awssdk.Options{Region: "eu-west-1", BaseEndpoint: aws.String("https://kms.example.com"),
			EndpointOptions: awssdk.EndpointResolverOptions{UseFIPSEndpoint: aws.FIPSEndpointStateEnabled}})
		*c = awskms.Config{KeyID: arn, Client: client}
	}, nil, []string{"the Client has an endpoint of its own"}},
	"a key in place of a path": {func(c *awskms.Config) {
		*c = awskms.Config{KeyID: arn, CredentialsFile: "[default]\naws_secret_access_key = canary"}
	}, nil, []string{"CredentialsFile must be the path of a file"}},
	"a token in place of a path": {func(c *awskms.Config) {
		*c = awskms.Config{KeyID: arn, WebIdentityTokenFile: "eyJhbGciOiJSUzI1NiJ9.canary.c2ln", RoleARN: role}
	}, nil, []string{"WebIdentityTokenFile must be the path of a file"}},
	"env:// without leave": {func(c *awskms.Config) {
		*c = awskms.Config{KeyID: arn, CredentialsFile: "env://AWS_KEYS"}
	}, nil, []string{"CredentialsFile refers to a variable", "the environment is not read"}},
	"a certificate in AWS_CA_BUNDLE": {func(c *awskms.Config) {},
		map[string]string{"AWS_CA_BUNDLE": "-----BEGIN CERTIFICATE-----canary"}, []string{"environment: AWS_CA_BUNDLE must be the path of a file"}},
	"a token in AWS_WEB_IDENTITY_TOKEN_FILE": {func(c *awskms.Config) { c.AccessKeyID, c.SecretAccessKey = "", "" },
		map[string]string{"AWS_WEB_IDENTITY_TOKEN_FILE": "eyJhbGciOiJSUzI1NiJ9.canary.c2ln", "AWS_ROLE_ARN": role}, []string{"AWS_WEB_IDENTITY_TOKEN_FILE must be the path of a file"}},
	"a URL in AWS_SHARED_CREDENTIALS_FILE": {func(c *awskms.Config) { c.AccessKeyID, c.SecretAccessKey = "", "" },
		map[string]string{"AWS_SHARED_CREDENTIALS_FILE": "file:///run/secrets/aws"}, []string{"AWS_SHARED_CREDENTIALS_FILE must be a path"}},
	"a pod endpoint by name": {func(c *awskms.Config) { c.AccessKeyID, c.SecretAccessKey = "", "" },
		map[string]string{"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://pods.example.com/"}, []string{"AWS_CONTAINER_CREDENTIALS_FULL_URI", "address"}},
}

func hostConfig() *aws.Config {
	return &aws.Config{Credentials: credentials.NewStaticCredentialsProvider("AKIA", "secret", "")}
}

func hostClient(region string) *awssdk.Client {
	c := hostConfig()
	c.Region = region
	return awssdk.NewFromConfig(*c)
}

func TestConfigErrors(t *testing.T) {
	for name, c := range bad {
		t.Run(name, func(t *testing.T) {
			clean(t)
			for k, v := range c.env {
				t.Setenv(k, v)
			}
			cfg := awskms.Config{KeyID: arn, AccessKeyID: "AKIAEXAMPLE", SecretAccessKey: "canary-secret", AllowEnvironment: c.env != nil}
			c.change(&cfg)
			w, err := awskms.New(cfg)
			if w != nil {
				t.Fatal("a Wrapper was returned")
			}
			refused(t, err, kms.ErrMisconfigured, c.words...)
			if e, ok := errors.AsType[*kms.Error](err); !ok || e.Op != "configure" || e.Type != "awskms" {
				t.Errorf("the error is %#v", err)
			}
			if strings.Contains(err.Error(), "canary") {
				t.Errorf("the error shows a secret: %v", err)
			}
		})
	}
}

// What the environment repeats does not contradict, and what only it knows is
// used; the region of an ARN is no matter of the environment.
func TestAgreeingEnvironment(t *testing.T) {
	clean(t)
	s := start(t)
	alias := s.Alias("alias/prod", s.CreateKey())
	t.Setenv("AWS_REGION", awskmstest.Region)
	t.Setenv("AWS_DEFAULT_REGION", "us-east-1") // hidden by the other
	t.Setenv("AWS_ENDPOINT_URL_KMS", s.URL)
	t.Setenv("AWS_ENDPOINT_URL", "https://hidden.example.com")
	t.Setenv("AWS_ACCESS_KEY_ID", awskmstest.AccessKeyID)
	t.Setenv("AWS_SECRET_ACCESS_KEY", awskmstest.SecretAccessKey)
	for name, cfg := range map[string]awskms.Config{
		"all of it": {KeyID: "alias/prod", AllowEnvironment: true},
		"repeated": {KeyID: "alias/prod", Region: awskmstest.Region, Endpoint: s.URL, AllowEnvironment: true,
			AccessKeyID: awskmstest.AccessKeyID, SecretAccessKey: awskmstest.SecretAccessKey},
	} {
		t.Run(name, func(t *testing.T) {
			w := open(t, cfg)
			opens(t, w, wrap(t, w))
		})
	}
	t.Setenv("AWS_REGION", "us-east-1")
	w := open(t, awskms.Config{KeyID: alias, AllowEnvironment: true})
	opens(t, w, wrap(t, w))
}

// EKS sets the region of its own in every pod, agents and other programs their
// credentials: a field that says otherwise wins, and starts.
func TestAmbientVariablesGiveWay(t *testing.T) {
	for name, env := range map[string]map[string]string{
		"region of EKS":      {"AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1"},
		"endpoint":           {"AWS_ENDPOINT_URL": "http://127.0.0.1:1"},
		"endpoint of KMS":    {"AWS_ENDPOINT_URL_KMS": "http://127.0.0.1:1"},
		"keys":               {"AWS_ACCESS_KEY_ID": "AKIAOTHER", "AWS_SECRET_ACCESS_KEY": "of another program"},
		"profile":            {"AWS_PROFILE": "other", "AWS_CONFIG_FILE": "testdata/other-profile"},
		"IRSA":               {"AWS_WEB_IDENTITY_TOKEN_FILE": "/none", "AWS_ROLE_ARN": role, "AWS_REGION": "us-east-1"},
		"IRSA without role":  {"AWS_WEB_IDENTITY_TOKEN_FILE": "/none"},
		"identity of a pod":  {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://169.254.170.23/v1/credentials", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": "/none"},
		"identity of a task": {"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/v2/credentials/x"},
	} {
		t.Run(name, func(t *testing.T) {
			clean(t)
			s := start(t)
			s.Alias("alias/prod", s.CreateKey())
			for k, v := range env {
				t.Setenv(k, v)
			}
			w := open(t, awskms.Config{KeyID: "alias/prod", Region: awskmstest.Region, Endpoint: s.URL, AllowEnvironment: true,
				AccessKeyID: awskmstest.AccessKeyID, SecretAccessKey: awskmstest.SecretAccessKey})
			opens(t, w, wrap(t, w))
		})
	}
}

// Without leave the environment is not read, whatever it holds.
func TestNoEnvironment(t *testing.T) {
	clean(t)
	s := start(t)
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": "AKIAOTHER", "AWS_SECRET_ACCESS_KEY": "other", "AWS_SESSION_TOKEN": "other",
		"AWS_REGION": "us-east-1", "AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_ENDPOINT_URL_KMS": "http://127.0.0.1:1",
		"AWS_PROFILE": "none", "AWS_CA_BUNDLE": filepath.Join(t.TempDir(), "none"), "AWS_USE_FIPS_ENDPOINT": "true",
		"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://pods.example.com/", "AWS_DEFAULTS_MODE": "auto",
	} {
		t.Setenv(name, value)
	}
	w := open(t, with(s, s.CreateKey()))
	opens(t, w, wrap(t, w))

	cfg := with(s, s.CreateKey())
	cfg.Endpoint, cfg.HTTPClient = "", s.Client()
	wrap(t, open(t, cfg))
	if hosts := s.Hosts(); hosts[len(hosts)-1] != "kms.eu-west-1.amazonaws.com" {
		t.Errorf("the host was %s", hosts[len(hosts)-1])
	}
}

// With leave, all of it works that the SDK knows.
func TestFIPSEndpoint(t *testing.T) {
	clean(t)
	s := start(t)
	t.Setenv("AWS_USE_FIPS_ENDPOINT", "true")
	t.Setenv("AWS_DEFAULTS_MODE", "auto") // must not ask the instance
	t.Setenv("AWS_EC2_METADATA_DISABLED", "false")
	t.Setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", s.URL)
	cfg := with(s, s.CreateKey())
	cfg.Endpoint, cfg.HTTPClient, cfg.AllowEnvironment = "", s.Client(), true
	wrap(t, open(t, cfg))
	if got := s.Hosts(); len(got) != 1 || got[0] != "kms-fips.eu-west-1.amazonaws.com" {
		t.Errorf("the hosts were %q", got)
	}
}

// No printer and no encoder shows a secret of a Config or of a Wrapper.
func TestSilence(t *testing.T) {
	clean(t)
	s := start(t)
	cfg := with(s, s.CreateKey())
	cfg.SecretAccessKey, cfg.SessionToken = "canary-secret", "canary-token"
	w := open(t, cfg)
	_, err := w.Wrap(t.Context(), secretKey, home)
	refused(t, err, kms.ErrUnauthenticated)
	// A wrong secret: the server's answer repeats what was signed.
	cfg.SessionToken = ""
	_, err2 := open(t, cfg).Wrap(t.Context(), secretKey, home)
	refused(t, err2, kms.ErrUnauthenticated, "check the secret access key")

	var out bytes.Buffer
	type holder struct {
		Config awskms.Config
		Ptr    *awskms.Config
		w      *awskms.Wrapper
	}
	h := holder{cfg, &cfg, w}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		fmt.Fprintf(&out, verb, cfg)
		fmt.Fprintf(&out, verb, &cfg)
		fmt.Fprintf(&out, verb, w)
		fmt.Fprintf(&out, verb, *w)
		fmt.Fprintf(&out, verb, h)
		fmt.Fprintf(&out, verb, &h)
		fmt.Fprintf(&out, verb, err)
		fmt.Fprintf(&out, verb, err2)
	}
	for _, l := range []*slog.Logger{slog.New(slog.NewTextHandler(&out, nil)), slog.New(slog.NewJSONHandler(&out, nil))} {
		l.Info("a line", "config", cfg, "pointer", &cfg, "wrapper", w, "error", err, "error2", err2)
	}
	for _, v := range []any{cfg, &cfg, h} {
		text, err := json.Marshal(v)
		if err != nil {
			t.Error(err)
		}
		out.Write(text)
	}
	text := strings.ToLower(out.String())
	if shows(text) {
		t.Errorf("a secret is shown in %s", text)
	}
	type planted struct{ s string } // a Config without its methods would do this
	for _, verb := range []string{"%v", "%x", "%#v"} {
		if !shows(fmt.Sprintf(verb, planted{cfg.SecretAccessKey})) {
			t.Errorf("the scan misses a secret printed with %s", verb)
		}
	}
	if !strings.Contains(text, strings.ToLower(cfg.KeyID)) {
		t.Error("not even the key's name is shown: the test looks at nothing")
	}
	t.Logf("GUARANTEE 20 awskms-silence: bytes=%d shown=0", len(text))
}

// shows reports whether text holds a canary as itself, in hexadecimal or as
// decimal bytes.
func shows(text string) bool {
	for _, canary := range []string{"canary", fmt.Sprintf("%x", "canary"), strings.Trim(fmt.Sprint([]byte("canary")), "[]")} {
		if strings.Contains(text, canary) {
			return true
		}
	}
	return false
}

var _ aws.HTTPClient = (*http.Client)(nil)

// TestWrapperPrintsNoSecret: however it is printed, also inside another type.
func TestWrapperPrintsNoSecret(t *testing.T) {
	w, err := awskms.New(awskms.Config{KeyID: "alias/x", Region: "eu-west-1", AccessKeyID: "AKIACANARY", SecretAccessKey: "canary-secret-access-key"})
	if err != nil {
		t.Fatal(err)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		for _, v := range []any{w, struct{ w kms.Wrapper }{w}, map[string]kms.Wrapper{"a": w}} {
			if text := fmt.Sprintf(verb, v); strings.Contains(text, "canary") || strings.Contains(text, fmt.Sprintf("%x", "canary")) {
				t.Errorf("%s: %s", verb, text)
			}
		}
	}
}
