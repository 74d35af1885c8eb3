package awskms_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awssdk "github.com/aws/aws-sdk-go-v2/service/kms"

	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/awskms"
	"github.com/sealwright/sealwright/kms/awskms/awskmstest"
)

const role = "arn:aws:iam::111122223333:role/app"

// clean takes the machine's own AWS settings away.
func clean(t *testing.T) {
	t.Helper()
	for _, kv := range os.Environ() {
		if name, _, _ := strings.Cut(kv, "="); strings.HasPrefix(name, "AWS_") {
			t.Setenv(name, "")
		}
	}
	t.Setenv("HOME", t.TempDir())
	t.Setenv("AWS_CONFIG_FILE", filepath.Join(t.TempDir(), "none"))
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(t.TempDir(), "none"))
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
}

// mount is a volume as Kubernetes mounts it: the files are links into ..data,
// itself a link that is swapped in one step.
type mount struct {
	dir string
	n   int
}

func newMount(t *testing.T, name, content string) (*mount, string) {
	m := &mount{dir: t.TempDir()}
	m.swap(t, name, content)
	path := filepath.Join(m.dir, name)
	if err := os.Symlink(filepath.Join("..data", name), path); err != nil {
		t.Skip("no symbolic links here")
	}
	return m, path
}

func (m *mount) swap(t *testing.T, name, content string) {
	t.Helper()
	m.n++
	version := fmt.Sprintf("..2026_%d", m.n)
	link := filepath.Join(m.dir, "..data_tmp")
	err := os.Mkdir(filepath.Join(m.dir, version), 0o700)
	if err == nil {
		err = os.WriteFile(filepath.Join(m.dir, version, name), []byte(content), 0o600)
	}
	if err == nil {
		err = os.Symlink(version, link)
	}
	if err == nil {
		err = os.Rename(link, filepath.Join(m.dir, "..data"))
	}
	if err != nil {
		t.Skip("no symbolic links here: ", err)
	}
}

func keyFile(profile, id, secret string) string {
	return fmt.Sprintf("[%s]\naws_access_key_id = %s\naws_secret_access_key = %s\n", profile, id, secret)
}

func TestCredentialsFile(t *testing.T) {
	clean(t)
	s := start(t)
	m, path := newMount(t, "credentials", keyFile("default", awskmstest.AccessKeyID, awskmstest.SecretAccessKey))
	cfg := awskms.Config{KeyID: s.CreateKey(), Endpoint: s.URL, CredentialsFile: path}
	w := open(t, cfg)
	blob := wrap(t, w)

	// The key is replaced, and the old one is gone.
	s.SetAccessKey(awskmstest.AccessKeyID, "")
	s.SetAccessKey("AKIASECOND", "another-secret")
	_, err := w.Unwrap(t.Context(), blob, home)
	refused(t, err, kms.ErrUnauthenticated, "UnrecognizedClientException")
	m.swap(t, "credentials", keyFile("default", "AKIASECOND", "another-secret"))
	opens(t, w, blob)

	for name, c := range map[string]struct{ content, words string }{
		"other profile": {keyFile("ops", "AKIASECOND", "another-secret"), "default"},
		"no key":        {"[default]\nregion = eu-west-1\n", "no access key"},
		"nonsense":      {"\x00", "CredentialsFile"},
	} {
		t.Run(name, func(t *testing.T) {
			m.swap(t, "credentials", c.content)
			_, err := w.Unwrap(t.Context(), blob, home)
			refused(t, err, kms.ErrUnauthenticated, "CredentialsFile", c.words)
		})
	}
	m.swap(t, "credentials", keyFile("ops", "AKIASECOND", "another-secret"))
	cfg.Profile = "ops"
	opens(t, open(t, cfg), blob)
	cfg.AllowEnvironment = true // the profile is still the file's
	opens(t, open(t, cfg), blob)

	cfg.CredentialsFile = filepath.Join(t.TempDir(), "none")
	_, err = open(t, cfg).Unwrap(t.Context(), blob, home)
	refused(t, err, kms.ErrUnauthenticated, "CredentialsFile", "none")
}

// IRSA, told explicitly: the requests go to the region's own endpoints.
func TestWebIdentity(t *testing.T) {
	clean(t)
	s := start(t)
	s.SetToken("token-1")
	m, path := newMount(t, "token", "token-1")
	w := open(t, awskms.Config{KeyID: s.CreateKey(), WebIdentityTokenFile: path, RoleARN: role, HTTPClient: s.Client()})
	if n := s.Requests(""); n != 0 {
		t.Errorf("New made %d requests", n)
	}
	blob := wrap(t, w)
	if got := strings.Join(s.Hosts(), " "); got != "sts.eu-west-1.amazonaws.com kms.eu-west-1.amazonaws.com" {
		t.Errorf("the hosts were %s", got)
	}
	opens(t, w, blob)
	if n := s.Requests("AssumeRoleWithWebIdentity"); n != 1 {
		t.Errorf("the role was assumed %d times", n)
	}

	// The token is replaced, and so are the credentials that it gave.
	s.SetToken("token-2")
	s.RevokeSessions()
	_, err := w.Unwrap(t.Context(), blob, home)
	refused(t, err, kms.ErrUnauthenticated, "UnrecognizedClientException")
	_, err = w.Unwrap(t.Context(), blob, home)
	refused(t, err, kms.ErrUnauthenticated, "credentials: InvalidIdentityToken")
	m.swap(t, "token", "token-2")
	opens(t, w, blob)

	s.ExpireSessions() // which the SDK's cache does not know
	_, err = w.Unwrap(t.Context(), blob, home)
	refused(t, err, kms.ErrUnauthenticated, "ExpiredTokenException")
	opens(t, w, blob)

	s.RevokeSessions()
	w.Unwrap(t.Context(), blob, home)
	os.Remove(path)
	_, err = w.Unwrap(t.Context(), blob, home)
	refused(t, err, kms.ErrUnauthenticated, "WebIdentityTokenFile")
}

func TestAssumedRole(t *testing.T) {
	clean(t)
	s := start(t)
	cfg := with(s, s.CreateKey())
	cfg.RoleARN, cfg.HTTPClient = role, s.Client()
	w := open(t, cfg)
	opens(t, w, wrap(t, w))
	if n := s.Requests("AssumeRole"); n != 1 {
		t.Errorf("the role was assumed %d times", n)
	}
	s.SetAccessKey(awskmstest.AccessKeyID, "") // does not disturb the session
	opens(t, w, wrap(t, w))
	_, err := open(t, cfg).Wrap(t.Context(), secretKey, home)
	refused(t, err, kms.ErrUnauthenticated, "credentials: UnrecognizedClientException")
}

func TestSessionToken(t *testing.T) {
	clean(t)
	s := start(t)
	s.SetToken("token")
	cfg := awskms.Config{KeyID: s.CreateKey(), WebIdentityTokenFile: filepath.Join(t.TempDir(), "token"), RoleARN: role, HTTPClient: s.Client()}
	if err := os.WriteFile(cfg.WebIdentityTokenFile, []byte("token"), 0o600); err != nil {
		t.Fatal(err)
	}
	blob := wrap(t, open(t, cfg)) // so that the first session exists
	temporary := with(s, cfg.KeyID)
	temporary.AccessKeyID = "ASIAEXAMPLE000000001"
	temporary.SecretAccessKey = "secret-of-ASIAEXAMPLE000000001"
	_, err := open(t, temporary).Unwrap(t.Context(), blob, home)
	refused(t, err, kms.ErrUnauthenticated, "security token")
	temporary.SessionToken = "session-token-of-ASIAEXAMPLE000000001"
	opens(t, open(t, temporary), blob)
}

// ambient is what the environment may hold.
func TestEnvironment(t *testing.T) {
	for name, c := range map[string]struct {
		set func(t *testing.T, s *awskmstest.Server, cfg *awskms.Config)
		ops string // what is asked for the credentials
	}{
		"access key": {func(t *testing.T, s *awskmstest.Server, _ *awskms.Config) {
			t.Setenv("AWS_ACCESS_KEY_ID", awskmstest.AccessKeyID)
			t.Setenv("AWS_SECRET_ACCESS_KEY", awskmstest.SecretAccessKey)
		}, ""},
		"web identity": {func(t *testing.T, s *awskmstest.Server, _ *awskms.Config) {
			_, path := newMount(t, "token", "token")
			t.Setenv("AWS_WEB_IDENTITY_TOKEN_FILE", path)
			t.Setenv("AWS_ROLE_ARN", role)
		}, "AssumeRoleWithWebIdentity"},
		"web identity, its role repeated": {func(t *testing.T, s *awskmstest.Server, cfg *awskms.Config) {
			_, path := newMount(t, "token", "token")
			t.Setenv("AWS_WEB_IDENTITY_TOKEN_FILE", path)
			t.Setenv("AWS_ROLE_ARN", role)
			cfg.RoleARN = role
		}, "AssumeRoleWithWebIdentity"},
		"web identity and a further role": {func(t *testing.T, s *awskmstest.Server, cfg *awskms.Config) {
			_, path := newMount(t, "token", "token")
			t.Setenv("AWS_WEB_IDENTITY_TOKEN_FILE", path)
			t.Setenv("AWS_ROLE_ARN", role)
			cfg.RoleARN = role + "-of-the-key"
		}, "AssumeRoleWithWebIdentity AssumeRole"},
		"pod identity": {func(t *testing.T, s *awskmstest.Server, _ *awskms.Config) {
			_, path := newMount(t, "eks-pod-identity-token", "token")
			t.Setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", s.URL+awskmstest.PodIdentityPath)
			t.Setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", path)
		}, "PodIdentity"},
		"profile": {func(t *testing.T, s *awskmstest.Server, cfg *awskms.Config) {
			path := filepath.Join(t.TempDir(), "config")
			text := "[profile base]\naws_access_key_id = " + awskmstest.AccessKeyID + "\naws_secret_access_key = " + awskmstest.SecretAccessKey +
				"\n[profile app]\nrole_arn = " + role + "\nsource_profile = base\n"
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			t.Setenv("AWS_CONFIG_FILE", path)
			cfg.Profile = "app"
		}, "AssumeRole"},
	} {
		t.Run(name, func(t *testing.T) {
			clean(t)
			s := start(t)
			s.SetToken("token")
			t.Setenv("AWS_ENDPOINT_URL_KMS", s.URL)
			t.Setenv("AWS_ENDPOINT_URL_STS", s.URL)
			cfg := awskms.Config{KeyID: s.CreateKey(), AllowEnvironment: true}
			c.set(t, s, &cfg)
			w := open(t, cfg)
			if n := s.Requests(""); n != 0 {
				t.Errorf("New made %d requests", n)
			}
			opens(t, w, wrap(t, w))
			for op := range strings.FieldsSeq(c.ops) {
				if n := s.Requests(op); n != 1 {
					t.Errorf("%s was asked %d times", op, n)
				}
			}
			if want := 2 + len(strings.Fields(c.ops)); s.Requests("") != want {
				t.Errorf("%d requests, want %d", s.Requests(""), want)
			}
		})
	}
}

// A pod's token is read again, and a refusal starts the whole chain anew.
func TestEnvironmentReload(t *testing.T) {
	clean(t)
	s := start(t)
	s.SetToken("token-1")
	m, path := newMount(t, "eks-pod-identity-token", "token-1")
	t.Setenv("AWS_ENDPOINT_URL_KMS", s.URL)
	t.Setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", s.URL+awskmstest.PodIdentityPath)
	t.Setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", path)
	w := open(t, awskms.Config{KeyID: s.CreateKey(), AllowEnvironment: true})
	blob := wrap(t, w)
	s.RevokeSessions()
	s.SetToken("token-2")
	_, err := w.Unwrap(t.Context(), blob, home)
	refused(t, err, kms.ErrUnauthenticated)
	_, err = w.Unwrap(t.Context(), blob, home)
	refused(t, err, kms.ErrUnauthenticated, "credentials: AccessDeniedException")
	m.swap(t, "eks-pod-identity-token", "token-2")
	opens(t, w, blob)

	// The same for a file that the SDK itself reads only once.
	clean(t)
	file := filepath.Join(t.TempDir(), "credentials")
	write := func(id, secret string) {
		if err := os.WriteFile(file, []byte(keyFile("app", id, secret)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(awskmstest.AccessKeyID, awskmstest.SecretAccessKey)
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", file)
	t.Setenv("AWS_PROFILE", "app")
	w = open(t, awskms.Config{KeyID: blob.KeyID, Endpoint: s.URL, AllowEnvironment: true})
	opens(t, w, blob)
	s.SetAccessKey(awskmstest.AccessKeyID, "")
	s.SetAccessKey("AKIASECOND", "another-secret")
	write("AKIASECOND", "another-secret")
	_, err = w.Unwrap(t.Context(), blob, home)
	refused(t, err, kms.ErrUnauthenticated)
	opens(t, w, blob)

	s.SetAccessKey("AKIASECOND", "")
	if err := os.WriteFile(file, []byte("[ops]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = w.Unwrap(t.Context(), blob, home)
	refused(t, err, kms.ErrUnauthenticated)
	_, err = w.Unwrap(t.Context(), blob, home)
	refused(t, err, kms.ErrUnauthenticated, "credentials: environment: ", "app")
}

// The endpoint of Pod Identity speaks JSON, text, or not at all.
func TestPodIdentityErrors(t *testing.T) {
	clean(t)
	s := start(t)
	s.SetToken("token")
	_, path := newMount(t, "eks-pod-identity-token", "token")
	t.Setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", s.URL+awskmstest.PodIdentityPath)
	t.Setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", path)
	cfg := awskms.Config{KeyID: s.CreateKey(), Endpoint: s.URL, AllowEnvironment: true}
	for name, c := range map[string]struct {
		awskmstest.Fault
		kind  error
		words string
	}{
		"denied":   {awskmstest.Fault{Code: "AccessDeniedException", Message: "no association"}, kms.ErrUnauthenticated, "credentials: AccessDeniedException: no association"},
		"internal": {awskmstest.Fault{Code: "InternalServerException", Status: 500}, kms.ErrUnavailable, "credentials: InternalServerException"},
		"skewed":   {awskmstest.Fault{Code: "RequestExpired"}, kms.ErrClockSkew, "credentials: RequestExpired"},
		"text 5xx": {awskmstest.Fault{Status: 503, Body: "not yet"}, kms.ErrUnavailable, "credentials: not yet"},
		"text 4xx": {awskmstest.Fault{Status: 404, Body: "what?"}, kms.ErrUnauthenticated, "credentials: what?"},
		"nonsense": {awskmstest.Fault{Status: 200, Body: "<html>"}, kms.ErrUnavailable, "credentials: the answer makes no sense"},
		"nothing":  {awskmstest.Fault{Drop: true}, kms.ErrUnavailable, "credentials: EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			w := open(t, cfg)
			s.InjectSTS(c.Fault)
			before := s.Requests("")
			_, err := w.Wrap(t.Context(), secretKey, home)
			refused(t, err, c.kind, c.words)
			if n := s.Requests("") - before; n != 1 {
				t.Errorf("%d requests", n)
			}
			s.InjectSTS(awskmstest.Fault{})
			wrap(t, w)
		})
	}
}

// What STS says is an outage only where it is one.
func TestSTSErrors(t *testing.T) {
	clean(t)
	s := start(t)
	s.SetToken("token")
	_, path := newMount(t, "token", "token")
	cfg := awskms.Config{KeyID: s.CreateKey(), WebIdentityTokenFile: path, RoleARN: role, HTTPClient: s.Client(), Timeout: time.Minute}
	for name, c := range map[string]struct {
		awskmstest.Fault
		kind  error
		words string
	}{
		"denied":      {awskmstest.Fault{Code: "AccessDenied", Status: 403, Message: "Not authorized to perform sts:AssumeRoleWithWebIdentity"}, kms.ErrUnauthenticated, "credentials: AccessDenied: Not authorized"},
		"expired":     {awskmstest.Fault{Code: "ExpiredTokenException", Message: "Token expired"}, kms.ErrUnauthenticated, "Token expired"},
		"validation":  {awskmstest.Fault{Code: "ValidationError", Message: "roleArn is invalid"}, kms.ErrUnauthenticated, "roleArn is invalid"},
		"throttled":   {awskmstest.Fault{Code: "Throttling", Message: "Rate exceeded", RetryAfter: 3 * time.Second}, kms.ErrThrottled, "(after 3s): credentials: Throttling"},
		"unavailable": {awskmstest.Fault{Code: "ServiceUnavailable", Status: 503}, kms.ErrUnavailable, "credentials: ServiceUnavailable"},
		"idp":         {awskmstest.Fault{Code: "IDPCommunicationError"}, kms.ErrUnavailable, "credentials: IDPCommunicationError"},
		"broken":      {awskmstest.Fault{Drop: true}, kms.ErrUnavailable, "credentials: EOF"},
		"a proxy":     {awskmstest.Fault{Status: 502, Body: "<html>"}, kms.ErrUnavailable, "credentials: "},
	} {
		t.Run(name, func(t *testing.T) {
			w := open(t, cfg)
			s.InjectSTS(c.Fault)
			before := s.Requests("")
			_, err := w.Wrap(t.Context(), secretKey, home)
			refused(t, err, c.kind, c.words)
			if n := s.Requests("") - before; n != 1 {
				t.Errorf("%d requests", n)
			}
			s.InjectSTS(awskmstest.Fault{})
			wrap(t, w) // and it heals
		})
	}
}

// An STS that hangs holds up neither the caller, however patient, nor the call
// after it, and its request is given up.
func TestHangingSTS(t *testing.T) {
	clean(t)
	s := start(t)
	s.SetToken("token")
	_, path := newMount(t, "token", "token")
	t.Setenv("AWS_ENDPOINT_URL_STS", s.URL)
	key := s.CreateKey()
	for name, c := range map[string]struct {
		cfg awskms.Config
		env []string
	}{
		"explicit": {awskms.Config{WebIdentityTokenFile: path, RoleARN: role, HTTPClient: s.Client()}, nil},
		"ambient":  {awskms.Config{Endpoint: s.URL, AllowEnvironment: true}, []string{"AWS_WEB_IDENTITY_TOKEN_FILE", path, "AWS_ROLE_ARN", role}},
		"custom": {awskms.Config{AllowEnvironment: true, HTTPClient: s.Client()},
			[]string{"AWS_WEB_IDENTITY_TOKEN_FILE", path, "AWS_ROLE_ARN", role}},
		"pod identity": {awskms.Config{Endpoint: s.URL, AllowEnvironment: true},
			[]string{"AWS_CONTAINER_CREDENTIALS_FULL_URI", s.URL + awskmstest.PodIdentityPath, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", path}},
	} {
		t.Run(name, func(t *testing.T) {
			for i := 0; i < len(c.env); i += 2 {
				t.Setenv(c.env[i], c.env[i+1])
			}
			cfg := c.cfg
			cfg.KeyID, cfg.Timeout = key, 100*time.Millisecond
			w := open(t, cfg)
			arrived, left := make(chan string, 4), make(chan string, 4)
			s.InjectSTS(awskmstest.Fault{Hang: true, Arrived: func(op string) { arrived <- op }, Left: func(op string) { left <- op }})
			for came := false; !came; { // on a busy machine the 100 ms may end before the request is sent
				_, err := w.Wrap(t.Context(), secretKey, home) // t.Context has no deadline
				refused(t, err, kms.ErrUnavailable)
				select {
				case <-arrived:
					came = true
				default:
				}
			}
			select {
			case <-left:
			case <-time.After(20 * time.Second):
				t.Error("the request was not given up")
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			_, err := w.Wrap(ctx, secretKey, home)
			refused(t, err, kms.ErrUnavailable, "credentials: ")
			if ctx.Err() != nil {
				t.Error("it waited for the caller's whole minute")
			}
			s.InjectSTS(awskmstest.Fault{})
			for err != nil && ctx.Err() == nil { // STS, too, has 100 ms
				_, err = w.Wrap(ctx, secretKey, home)
			}
			if err != nil {
				t.Errorf("it does not heal: %v", err)
			}
		})
	}
}

// The Timeout is for calls without a deadline; the others have their own.
func TestPatience(t *testing.T) {
	clean(t)
	s := start(t)
	cfg := with(s, s.CreateKey())
	cfg.Timeout = time.Millisecond
	ambient := cfg
	ambient.AllowEnvironment = true
	s.Inject(awskmstest.Fault{Latency: 50 * time.Millisecond})
	for name, cfg := range map[string]awskms.Config{"explicit": cfg, "ambient": ambient} {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := open(t, cfg).Wrap(ctx, secretKey, home); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The region of the key is that of STS too, if the environment says nothing.
func TestRegionOfSTS(t *testing.T) {
	clean(t)
	s := start(t)
	s.SetToken("token")
	_, path := newMount(t, "token", "token")
	t.Setenv("AWS_WEB_IDENTITY_TOKEN_FILE", path)
	t.Setenv("AWS_ROLE_ARN", role)
	wrap(t, open(t, awskms.Config{KeyID: s.CreateKey(), AllowEnvironment: true, HTTPClient: s.Client()}))
	if got := strings.Join(s.Hosts(), " "); got != "sts.eu-west-1.amazonaws.com kms.eu-west-1.amazonaws.com" {
		t.Errorf("the hosts were %s", got)
	}
}

// The host's own objects are used as they are, but for retries and logging.
func TestHostObjects(t *testing.T) {
	clean(t)
	s := start(t)
	key := s.CreateKey()
	var log strings.Builder
	host := aws.Config{
		Region:           "us-east-1",
		BaseEndpoint:     &s.URL,
		Credentials:      aws.NewCredentialsCache(credentials.NewStaticCredentialsProvider(awskmstest.AccessKeyID, awskmstest.SecretAccessKey, "")),
		RetryMaxAttempts: 7,
		ClientLogMode:    aws.LogRequestWithBody | aws.LogResponseWithBody | aws.LogSigning | aws.LogRetries,
		Logger:           logTo{&log},
	}
	regional := host.Copy()
	regional.Region = awskmstest.Region
	for name, cfg := range map[string]awskms.Config{
		"AWS":    {KeyID: key, AWS: &host},
		"Client": {KeyID: key, Client: awssdk.NewFromConfig(regional, func(o *awssdk.Options) { o.ClientLogMode &^= aws.LogSigning })},
	} {
		t.Run(name, func(t *testing.T) {
			w := open(t, cfg)
			opens(t, w, wrap(t, w))
			s.Inject(awskmstest.Fault{Code: "ThrottlingException"})
			before := s.Requests("")
			_, err := w.Wrap(t.Context(), secretKey, home)
			refused(t, err, kms.ErrThrottled)
			if n := s.Requests("") - before; n != 1 {
				t.Errorf("%d requests", n)
			}
			s.Inject(awskmstest.Fault{Code: "ExpiredTokenException"})
			_, err = w.Wrap(t.Context(), secretKey, home)
			refused(t, err, kms.ErrUnauthenticated)
			s.Inject(awskmstest.Fault{})
			opens(t, w, wrap(t, w))
		})
	}
	if log.Len() > 0 {
		t.Errorf("the SDK logged %d bytes of requests", log.Len())
	}
}

// A host's credentials that are refused are fetched again, and have no more
// time than any others.
func TestHostCredentials(t *testing.T) {
	clean(t)
	s := start(t)
	id, secret := awskmstest.AccessKeyID, awskmstest.SecretAccessKey
	fetch := func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: id, SecretAccessKey: secret}, nil
	}
	host := aws.Config{BaseEndpoint: &s.URL, Credentials: aws.NewCredentialsCache(aws.CredentialsProviderFunc(fetch))}
	cfg := awskms.Config{KeyID: s.CreateKey(), AWS: &host}
	w := open(t, cfg)
	wrap(t, w)
	s.SetAccessKey(id, "")
	id, secret = "AKIASECOND", "another-secret"
	s.SetAccessKey(id, secret)
	_, err := w.Wrap(t.Context(), secretKey, home)
	refused(t, err, kms.ErrUnauthenticated)
	wrap(t, w)

	host.Credentials = aws.CredentialsProviderFunc(func(ctx context.Context) (aws.Credentials, error) {
		<-ctx.Done()
		return aws.Credentials{}, ctx.Err()
	})
	cfg.Timeout = 50 * time.Millisecond
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	_, err = open(t, cfg).Wrap(ctx, secretKey, home)
	refused(t, err, kms.ErrUnavailable, "credentials: no answer in time")
	if ctx.Err() != nil {
		t.Error("it waited for the caller's whole minute")
	}
}
