package main_test

import (
	"strings"
	"sync"
	"testing"

	"github.com/sealwright/sealwright/kms"
)

type kmsWrapper = kms.Wrapper

// canaries are the secrets of a test, which no output may show.
var canaries struct {
	sync.Mutex
	of map[*testing.T][]string
}

// secretOf has every later output of the test searched for a text.
func secretOf(t *testing.T, text string) {
	canaries.Lock()
	defer canaries.Unlock()
	if canaries.of == nil {
		canaries.of = map[*testing.T][]string{}
	}
	if len(canaries.of[t]) == 0 {
		t.Cleanup(func() {
			canaries.Lock()
			defer canaries.Unlock()
			delete(canaries.of, t)
		})
	}
	canaries.of[t] = append(canaries.of[t], text)
}

// sawOutput searches an output. Of a share the part that is secret counts, and any
// 20 characters of it.
func sawOutput(t *testing.T, r ran) {
	t.Helper()
	if name := shown(t, r.out+r.err); name != "" {
		t.Errorf("the output shows %s", name)
	}
}

func shown(t *testing.T, text string) string {
	canaries.Lock()
	defer canaries.Unlock()
	text = strings.ToLower(text)
	for _, c := range canaries.of[t] {
		c = strings.ToLower(c)
		if strings.HasPrefix(c, "sw1") && len(c) == 89 {
			c = c[len(c)-50 : len(c)-6]
		}
		for i := 0; i+20 <= len(c); i++ {
			if strings.Contains(text, c[i:i+20]) {
				return "a part of a secret"
			}
		}
		if len(c) < 20 && strings.Contains(text, c) {
			return "a secret"
		}
	}
	return ""
}
