package seal_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"runtime"
	"testing"

	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/kmstest"
	"github.com/sealwright/sealwright/seal"
)

// TestLoaded: a value is there from the end of its load to the beginning of a Seal,
// and is loaded anew after the next unseal.
func TestLoaded(t *testing.T) {
	b, _ := hosted(t, nil)
	loading, goOn := make(chan context.Context), make(chan error)
	times := 0
	value := seal.NewLoaded(b, func(ctx context.Context) (int, error) {
		loading <- ctx
		times++
		return times, <-goOn
	})
	is := func(when string, want int, wantErr error) {
		t.Helper()
		if got, err := value.Value(); got != want || !errors.Is(err, wantErr) {
			t.Errorf("%s: %d, %v, not %d, %v", when, got, err, want, wantErr)
		}
		if err := value.Ready(); !errors.Is(err, wantErr) {
			t.Errorf("%s: ready: %v, not %v", when, err, wantErr)
		}
	}
	is("before Run", 0, seal.ErrSealed)
	ended := make(chan error, 1)
	go func() { ended <- value.Run(t.Context()) }()
	for n := 1; n <= 2; n++ {
		<-loading
		is("while it loads", 0, seal.ErrSealed)
		goOn <- nil
		for { // what Run does next
			if value.Ready() == nil {
				break
			}
			runtime.Gosched()
			if err := t.Context().Err(); err != nil {
				t.Fatal(err)
			}
		}
		is("loaded", n, nil)
		must(t, b.Seal(seal.By{Actor: "ada"}))
		is("sealed", 0, seal.ErrSealed)
		must(t, b.Unseal(t.Context()))
	}
	<-loading
	broken := errors.New("broken")
	goOn <- broken
	if err := <-ended; err != broken {
		t.Errorf("Run ends with %v", err)
	}
	is("not to be loaded", 0, seal.ErrSealed)

	ctx, cancel := context.WithCancel(t.Context())
	go func() { ended <- value.Run(ctx) }()
	within := <-loading
	cancel()
	<-within.Done()
	goOn <- nil
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("Run ends with %v", err)
	}
	if err := seal.NewLoaded[int](b, nil).Run(t.Context()); !errors.Is(err, seal.ErrConfig) {
		t.Errorf("nothing to load with: %v", err)
	}
	b.Close()
	is("closed", 0, seal.ErrClosed)
}

// A greeting that is stored encrypted, and read once for each unseal.
func ExampleLoaded() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	b, err := seal.Open(seal.Config{
		Store: seal.NewMemStore(),
		KMS:   map[string]kms.Wrapper{"cloud": (&kmstest.Fake{}).Key("prod")},
	})
	if err != nil {
		log.Fatal(err)
	}
	if _, err := b.Init(ctx, map[string]seal.Spec{"auto": seal.KMS{Wrapper: "cloud"}}, seal.By{}); err != nil {
		log.Fatal(err)
	}
	box := b.Box("settings")
	stored, err := box.EncryptString(ctx, "good morning", "greeting")
	if err != nil {
		log.Fatal(err)
	}
	greeting := seal.NewLoaded(b, func(ctx context.Context) (string, error) {
		return box.DecryptString(ctx, stored, "greeting")
	})
	_, err = greeting.Value()
	fmt.Println("before:", errors.Is(err, seal.ErrSealed))
	ended := make(chan error)
	go func() { ended <- greeting.Run(ctx) }()
	for greeting.Ready() != nil { // a server answers 503 meanwhile, by sealhttp.Error
		runtime.Gosched()
	}
	text, err := greeting.Value()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(text)
	b.Close()
	_, err = greeting.Value()
	fmt.Println(err)
	fmt.Println(<-ended)
	// Output:
	// before: true
	// good morning
	// seal: the barrier is closed
	// seal: the barrier is closed
}
