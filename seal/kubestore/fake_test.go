package kubestore_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/sealwright/sealwright/internal/kubefake"
)

// fake is an API server as far as Secrets go, over TLS.
type fake struct {
	*httptest.Server
	*kubefake.Secrets
}

func newFake(t testing.TB) *fake {
	secrets := kubefake.New()
	f := &fake{httptest.NewTLSServer(secrets), secrets}
	t.Cleanup(f.Close)
	f.Client().Transport.(*http.Transport).MaxIdleConnsPerHost = 16 // a handshake is dearer than all else here
	return f
}

// put stores a Secret as another program does.
func (f *fake) put(t testing.TB, key, object string) {
	t.Helper()
	if err := f.Put(key, object); err != nil {
		t.Fatal(err)
	}
}
