package awskmstest_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/smithy-go"

	"github.com/sealwright/sealwright/kms/awskms/awskmstest"
)

func client(s *awskmstest.Server, region string) *kms.Client {
	return kms.New(kms.Options{
		Region: region, BaseEndpoint: &s.URL, Retryer: aws.NopRetryer{},
		Credentials: aws.CredentialsProviderFunc(credentials),
	})
}

func start(t *testing.T) (*awskmstest.Server, *kms.Client) {
	s := awskmstest.NewServer()
	t.Cleanup(s.Close)
	return s, client(s, awskmstest.Region)
}

func code(err error) string {
	var e smithy.APIError
	if errors.As(err, &e) {
		return e.ErrorCode()
	}
	return ""
}

func TestKeys(t *testing.T) {
	s, c := start(t)
	key, other := s.CreateKey(), s.CreateKey()
	in := &kms.EncryptInput{KeyId: &key, Plaintext: []byte("plaintext"), EncryptionContext: map[string]string{"a": "b"}}
	sealed, err := c.Encrypt(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(sealed.CiphertextBlob, in.Plaintext) {
		t.Error("the ciphertext is in the clear")
	}
	decrypt := func(c *kms.Client, key string, blob []byte, context map[string]string) (string, error) {
		out, err := c.Decrypt(t.Context(), &kms.DecryptInput{KeyId: &key, CiphertextBlob: blob, EncryptionContext: context})
		if err != nil {
			return "", err
		}
		return string(out.Plaintext), nil
	}
	s.RotateKey(key)
	if got, err := decrypt(c, key, sealed.CiphertextBlob, in.EncryptionContext); got != "plaintext" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	for name, c := range map[string]struct {
		client  *kms.Client
		key     string
		blob    []byte
		context map[string]string
		want    string
	}{
		"another key":     {c, other, sealed.CiphertextBlob, in.EncryptionContext, "IncorrectKeyException"},
		"another context": {c, key, sealed.CiphertextBlob, map[string]string{"a": "c"}, "InvalidCiphertextException"},
		"no context":      {c, key, sealed.CiphertextBlob, nil, "InvalidCiphertextException"},
		"altered":         {c, key, append([]byte{1}, sealed.CiphertextBlob...), in.EncryptionContext, "InvalidCiphertextException"},
		"short":           {c, key, []byte{1}, in.EncryptionContext, "InvalidCiphertextException"},
		"too long":        {c, key, make([]byte, 6145), nil, "ValidationException"},
		"another region":  {client(s, "us-east-1"), key, sealed.CiphertextBlob, in.EncryptionContext, "NotFoundException"},
		"no such key":     {c, key + "0", sealed.CiphertextBlob, nil, "NotFoundException"},
		"no such alias":   {c, "alias/none", sealed.CiphertextBlob, nil, "NotFoundException"},
	} {
		if _, err := decrypt(c.client, c.key, c.blob, c.context); code(err) != c.want {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
	for state, want := range map[string]string{
		"Disabled": "DisabledException", "PendingDeletion": "KMSInvalidStateException", "PendingImport": "KMSInvalidStateException",
		"Unavailable": "KMSInvalidStateException", "Updating": "", "Enabled": "",
	} {
		s.SetState(key, state)
		if _, err := decrypt(c, key, sealed.CiphertextBlob, in.EncryptionContext); code(err) != want {
			t.Errorf("%s: %v, want %s", state, err, want)
		}
		out, err := c.DescribeKey(t.Context(), &kms.DescribeKeyInput{KeyId: &key})
		if err != nil || out.KeyMetadata.KeyState != types.KeyState(state) {
			t.Errorf("%s: described as %+v, %v", state, out, err)
		}
	}
	s.DeleteKey(key)
	if _, err := decrypt(c, key, sealed.CiphertextBlob, in.EncryptionContext); code(err) != "NotFoundException" {
		t.Errorf("deleted: %v", err)
	}
	if _, err := c.ListKeys(t.Context(), &kms.ListKeysInput{}); code(err) == "" {
		t.Errorf("an operation that is not there: %v", err)
	}
	if n := s.Requests("ListKeys"); n != 1 {
		t.Errorf("%d requests", n)
	}
}

// What is not signed as AWS wants it is refused.
func TestSignature(t *testing.T) {
	s, _ := start(t)
	key := s.CreateKey()
	for name, c := range map[string]struct {
		change func(*http.Request)
		want   string
	}{
		"untouched": {func(*http.Request) {}, ""},
		"unsigned":  {func(r *http.Request) { r.Header.Del("Authorization") }, "MissingAuthenticationTokenException"},
		"another body": {func(r *http.Request) {
			r.Body = io.NopCloser(strings.NewReader(`{"KeyId":"` + key[:len(key)-1] + `2"}`))
		}, "InvalidSignatureException"},
		"another target":    {func(r *http.Request) { r.Header.Set("X-Amz-Target", "TrentService.Encrypt") }, "InvalidSignatureException"},
		"another token":     {func(r *http.Request) { r.Header.Set("X-Amz-Security-Token", "t") }, "UnrecognizedClientException"},
		"another date":      {func(r *http.Request) { r.Header.Set("X-Amz-Date", "20200101T000000Z") }, "IncompleteSignatureException"},
		"another host":      {func(r *http.Request) { r.Host = "kms.us-east-1.amazonaws.com" }, "InvalidSignatureException"},
		"another service":   {replace("/kms/", "/s3/"), "IncompleteSignatureException"},
		"another region":    {replace("/eu-west-1/", "/us-east-1/"), "InvalidSignatureException"},
		"another key":       {replace(awskmstest.AccessKeyID, "AKIAOTHER"), "UnrecognizedClientException"},
		"the host left out": {replace("host;", ""), "InvalidSignatureException"},
		"no hexadecimal":    {replace("Signature=", "Signature=zz"), "InvalidSignatureException"},
	} {
		t.Run(name, func(t *testing.T) {
			k := kms.New(kms.Options{
				Region: awskmstest.Region, BaseEndpoint: &s.URL, Retryer: aws.NopRetryer{},
				Credentials: aws.CredentialsProviderFunc(credentials), HTTPClient: changed{s.Client(), c.change},
			})
			_, err := k.DescribeKey(t.Context(), &kms.DescribeKeyInput{KeyId: &key})
			if code(err) != c.want || c.want == "" && err != nil {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

func replace(old, new string) func(*http.Request) {
	return func(r *http.Request) {
		r.Header.Set("Authorization", strings.ReplaceAll(r.Header.Get("Authorization"), old, new))
	}
}

type changed struct {
	client *http.Client
	change func(*http.Request)
}

func (c changed) Do(r *http.Request) (*http.Response, error) {
	c.change(r)
	return c.client.Do(r)
}

func TestFaults(t *testing.T) {
	s, c := start(t)
	key := s.CreateKey()
	describe := func() error {
		_, err := c.DescribeKey(t.Context(), &kms.DescribeKeyInput{KeyId: &key})
		return err
	}
	s.Inject(awskmstest.Fault{Op: "Decrypt", Code: "ThrottlingException"})
	if err := describe(); err != nil {
		t.Errorf("a fault of another operation: %v", err)
	}
	s.Inject(awskmstest.Fault{Op: "DescribeKey", Code: "ThrottlingException"})
	if err := describe(); code(err) != "ThrottlingException" {
		t.Errorf("a fault: %v", err)
	}
	s.Inject(awskmstest.Fault{Latency: time.Millisecond})
	before := time.Now()
	if err := describe(); err != nil || time.Since(before) < time.Millisecond {
		t.Errorf("a slow answer: %v", err)
	}
	s.Inject(awskmstest.Fault{})
	resp, err := http.Post(s.URL, "application/x-www-form-urlencoded", strings.NewReader("Action=GetCallerIdentity"))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, _ := io.ReadAll(resp.Body); resp.StatusCode != 400 || !bytes.Contains(body, []byte("InvalidAction")) {
		t.Errorf("an action that is not there: %d %s", resp.StatusCode, body)
	}
}

func credentials(context.Context) (aws.Credentials, error) {
	return aws.Credentials{AccessKeyID: awskmstest.AccessKeyID, SecretAccessKey: awskmstest.SecretAccessKey}, nil
}
