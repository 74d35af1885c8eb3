package transit

import (
	"context"
	"errors"
	"net/http"

	"github.com/sealwright/sealwright/kms"
)

// UnwrapForeign implements [kms.Foreign]: it decrypts a ciphertext without
// associated data, whose version stands in itself.
func (w *Wrapper) UnwrapForeign(ctx context.Context, ciphertext []byte, _ string) ([]byte, error) {
	const op = "unwrap"
	if _, _, ok := parseCiphertext(ciphertext); !ok {
		return nil, w.failure(op, kms.ErrCorrupt, errors.New("what is to be unwrapped is no ciphertext of transit"))
	}
	body := append(make([]byte, 0, 1024), `{"ciphertext":"`...)
	body = append(append(body, ciphertext...), `"}`...) // of base64 and ":", which need no escape
	var answer struct {
		Data struct {
			Plaintext []byte `json:"plaintext"`
		} `json:"data"`
	}
	err := w.call(ctx, request{
		op: op, method: http.MethodPost, path: w.path("decrypt"), body: body, into: &answer,
	})
	key := answer.Data.Plaintext
	if err == nil && (len(key) == 0 || len(key) > kms.MaxKeySize) {
		err = w.failure(op, kms.ErrCorrupt, errors.New("the answer is no key"))
	}
	if err != nil {
		clear(key)
		return nil, err
	}
	return key, nil
}
