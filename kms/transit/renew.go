package transit

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/sealwright/sealwright/internal/wait"
	"github.com/sealwright/sealwright/kms"
)

const (
	// forever is how long Run leaves a token alone that needs nothing.
	forever = time.Hour
	// lookAgain is how long Run leaves a TokenFile alone, whose token may be
	// replaced by something else, and retry how long if the token does not work.
	lookAgain = 10 * time.Minute
	retry     = time.Minute
)

// Run renews the token before it expires, until ctx is done, and returns the
// context's error. It is needed only for a renewable token that nothing else
// renews. The server's troubles and outages are waited out.
//
// A Token that cannot be kept alive ends Run with an error: [kms.ErrMisconfigured]
// if it expires and is not renewable, [kms.ErrUnauthenticated] if it is expired,
// which it is for good once it has reached its maximum, and [kms.ErrDenied] if
// it may not renew itself. With a TokenFile none of these ends Run, since the
// file may get another token; the one in it is looked at every ten minutes, so
// shorter ones need DisableRenewal and an agent.
func (w *Wrapper) Run(ctx context.Context) error {
	if w.cfg.DisableRenewal {
		<-ctx.Done()
		return ctx.Err()
	}
	for {
		pause, err := w.renew(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			if w.cfg.TokenFile == "" {
				return err
			}
			pause = retry
		}
		if w.cfg.TokenFile != "" {
			pause = min(pause, lookAgain)
		}
		if err := wait.For(ctx, pause); err != nil {
			return err
		}
	}
}

// renew renews the token if it can be, and returns how long to wait for the next
// time.
func (w *Wrapper) renew(ctx context.Context) (time.Duration, error) {
	const op = "renew"
	var found struct {
		Data struct {
			TTL        int64   `json:"ttl"`         // seconds
			ExpireTime *string `json:"expire_time"` // null if it never expires
			Renewable  bool    `json:"renewable"`
		} `json:"data"`
	}
	err := w.insist(ctx, request{op: op, method: http.MethodGet, path: lookupSelf, into: &found})
	switch {
	case err != nil:
		return 0, err
	case found.Data.TTL <= 0 && found.Data.ExpireTime == nil:
		return forever, nil
	case !found.Data.Renewable:
		return 0, w.failure(op, kms.ErrMisconfigured, fmt.Errorf(
			"the token ends in %v and is not renewable: use a periodic token, or a TokenFile that an agent keeps",
			time.Duration(found.Data.TTL)*time.Second))
	}
	var renewed struct {
		Auth struct {
			LeaseDuration int64 `json:"lease_duration"` // seconds
		} `json:"auth"`
	}
	err = w.insist(ctx, request{op: op, method: http.MethodPost, path: "auth/token/renew-self", body: []byte("{}"), into: &renewed})
	if err != nil {
		return 0, err
	}
	if renewed.Auth.LeaseDuration <= 0 {
		return 0, w.failure(op, kms.ErrUnauthenticated, errors.New("the token has reached its maximum"))
	}
	// Between a third and two thirds of what is left, at random, as many
	// replicas may have been given theirs at once.
	third := max(time.Duration(min(renewed.Auth.LeaseDuration, 1<<31))*time.Second/3, time.Second)
	return third + rand.N(third), nil
}

// insist makes a request until it is answered.
func (w *Wrapper) insist(ctx context.Context, r request) error {
	body := r.body
	return kms.Policy{Attempts: -1}.Do(ctx, func(ctx context.Context) error {
		r.body = append([]byte(nil), body...) // it is wiped with each use
		if body == nil {
			r.body = nil
		}
		return w.call(ctx, r)
	})
}
