package kmstest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/sealwright/sealwright/kms"
)

// each runs one call of every kind with ctx and hands its error to check.
func (s *suite) each(ctx context.Context, w kms.Wrapper, blob *kms.Blob, check func(op string, got []byte, err error) error) error {
	key, err := w.Unwrap(ctx, blob, home)
	if err := check(OpUnwrap, key, err); err != nil {
		return err
	}
	made, err := w.Wrap(ctx, s.secret(32), home)
	if made != nil {
		return errors.New("wrap: a blob came with the error")
	}
	if err := check(OpWrap, nil, err); err != nil {
		return err
	}
	if p, ok := w.(kms.Prober); ok {
		_, err := p.Probe(ctx)
		return check(OpProbe, nil, err)
	}
	return nil
}

func (s *suite) endedBefore() error {
	w, key, blob, err := s.wrapped()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(s.t.Context())
	cancel()
	err = s.each(ctx, w, blob, func(op string, got []byte, err error) error {
		return s.ended(op, got, err, context.Canceled)
	})
	return errors.Join(err, s.opens(w, blob, key))
}

// endsDuring ends the context of calls that the KMS has received and does not
// answer.
func (s *suite) endsDuring() error {
	if s.opts.Stall == nil {
		return errSkip
	}
	w, _, blob, err := s.wrapped()
	if err != nil {
		return err
	}
	arrived := make(chan struct{}, 1)
	s.opts.Stall(s.t, func() {
		select {
		case arrived <- struct{}{}:
		default:
		}
	})
	for _, want := range []error{context.Canceled, context.DeadlineExceeded} {
		ctx, cancel := context.WithCancel(s.t.Context())
		if want == context.DeadlineExceeded {
			ctx, cancel = context.WithTimeout(s.t.Context(), 50*time.Millisecond)
		}
		done := make(chan error, 1)
		go func() {
			got, err := w.Unwrap(ctx, blob, home)
			done <- s.ended(OpUnwrap, got, err, want)
		}()
		err := s.stalled(arrived, done, cancel, want)
		cancel()
		if err != nil {
			return err
		}
	}
	return nil
}

// patience is how long a call may take to notice that its context has ended,
// before it is said to hang.
const patience = 20 * time.Second

func (s *suite) stalled(arrived <-chan struct{}, done <-chan error, cancel func(), want error) error {
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	for {
		select {
		case <-arrived:
			if want == context.Canceled {
				cancel()
			}
			arrived = nil
		case err := <-done:
			return err
		case <-timeout.C:
			return fmt.Errorf("unwrap: did not return after its context ended (%v)", want)
		}
	}
}

func (s *suite) ended(op string, got []byte, err, cause error) error {
	if err := s.refused(op, got, err, kms.ErrUnavailable); err != nil {
		return err
	}
	if !errors.Is(err, cause) {
		return fmt.Errorf("%s: the error does not wrap %v: %w", op, cause, err)
	}
	return nil
}

func (s *suite) concurrency() error {
	w := s.wrapper("a")
	errs := make([]error, 8)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() {
			for range 8 {
				key := s.secret(32)
				blob, err := s.wrap(w, key)
				if err == nil {
					err = s.opens(w, blob, key)
				}
				if err != nil {
					errs[i] = err
					return
				}
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err // the others say the same
		}
	}
	return nil
}

// faults puts the KMS out of order in each way of the provider's table.
func (s *suite) faults() error {
	if len(s.opts.Faults) == 0 {
		return errSkip
	}
	_, _, blob, err := s.wrapped()
	if err != nil {
		return err
	}
	var errs []error
	for _, c := range s.opts.Faults {
		s.t.Run(c.Name, func(t *testing.T) {
			// A suite of its own, so that what is injected ends with t.
			sub := &suite{t: t, open: s.open, opts: s.opts}
			if err := sub.fault(c); err != nil {
				errs = append(errs, fmt.Errorf("fault %q: %w", c.Name, err))
			}
		})
	}
	if len(errs) > 0 {
		return errors.Join(errs...)
	}
	s.t.Logf("GUARANTEE 24 kms-errors-%s: faults=%d wrong=0", blob.Type, len(s.opts.Faults))
	return nil
}

func (s *suite) fault(c FaultCase) error {
	w, _, blob, err := s.wrapped()
	if err != nil {
		return err
	}
	c.Inject(s.t)
	got, err := w.Unwrap(s.t.Context(), blob, home)
	if err := s.refused(OpUnwrap, got, err, c.Want); err != nil {
		return err
	}
	if e, _ := errors.AsType[*kms.Error](err); e.RetryAfter != c.RetryAfter {
		return fmt.Errorf("unwrap: RetryAfter is %v, want %v", e.RetryAfter, c.RetryAfter)
	}
	return nil
}
