package gcpckms

import (
	"errors"
	"testing"

	"github.com/sealwright/sealwright/kms"
)

// Whatever lies where the credentials should, it is refused or understood.
func FuzzCredentials(f *testing.F) {
	for _, seed := range []string{
		``, `null`, `[]`, `{}`, `{"type":"service_account"}`,
		`{"type":"service_account","client_email":"a@b","private_key":"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n","private_key_id":"1","universe_domain":"example.goog"}`,
		`{"type":"external_account","audience":"//iam","subject_token_type":"jwt","token_url":"https://127.0.0.1/","credential_source":{"file":"/token","format":{"type":"json","subject_token_field_name":"t"}}}`,
		`{"type":"external_account","audience":"//iam","subject_token_type":"jwt","credential_source":{"url":"http://127.0.0.1/","headers":{"a":"b"}}}`,
		`{"type":"external_account","audience":"//iam","subject_token_type":"jwt","credential_source":{"environment_id":"aws1"}}`,
		`{"type":"external_account","audience":"//iam","subject_token_type":"jwt","credential_source":{"certificate":{"certificate_config_location":"/nowhere"}}}`,
		`{"type":"external_account","audience":"//iam","subject_token_type":"jwt","credential_source":null}`,
		`{"type":"impersonated_service_account","service_account_impersonation_url":"https://127.0.0.1/x:generateAccessToken","source_credentials":{"type":"authorized_user","client_id":"a","client_secret":"b","refresh_token":"c"}}`,
		`{"type":"impersonated_service_account","source_credentials":{"source_credentials":{}}}`,
		`{"type":"authorized_user","client_id":"a","client_secret":"b","refresh_token":"c","quota_project_id":"d"}`,
	} {
		f.Add([]byte(seed), false)
	}
	f.Fuzz(func(t *testing.T, content []byte, environment bool) {
		if content == nil {
			content = []byte{} // nil is the metadata server
		}
		s := newSource(Config{AllowEnvironment: environment})
		id, err := s.understand(content)
		if (id == nil) == (err == nil) || err == nil && id.tokens == nil {
			t.Fatalf("%v, %v", id, err)
		}
		if err == nil {
			return
		}
		if kind := ungranted(err, &exchange{}, "file").kind; !errors.Is(kind, kms.ErrMisconfigured) && !errors.Is(kind, kms.ErrUnauthenticated) {
			t.Errorf("%v is a %v", err, kind)
		}
	})
}
