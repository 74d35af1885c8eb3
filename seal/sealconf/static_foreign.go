package sealconf

import (
	"context"

	"github.com/sealwright/sealwright/kms"
)

var _ kms.Foreign = (*staticWrapper)(nil)

// UnwrapForeign implements [kms.Foreign]: it opens what OpenBao's seal "static"
// made, with the key of that id, or each key where there is none.
func (w *staticWrapper) UnwrapForeign(ctx context.Context, ciphertext []byte, id string) ([]byte, error) {
	const op = "unwrap"
	if err := ctx.Err(); err != nil {
		return nil, w.fail(op, id, kms.ErrUnavailable, "%w", err)
	}
	tried := false
	for i := range w.keys {
		if id != "" && w.keys[i].id != id {
			continue
		}
		tried = true
		aead, _, err := w.aead(op, &w.keys[i])
		if err != nil {
			return nil, err
		}
		if key, err := aead.Open(nil, nil, ciphertext, nil); err == nil {
			return key, nil
		}
	}
	if !tried {
		return nil, w.fail(op, id, kms.ErrWrongKey, "the configuration has no key of that id")
	}
	return nil, w.fail(op, id, kms.ErrCorrupt, "it does not authenticate")
}
