package linear

import (
	"math"
	"testing"

	"github.com/anishathalye/porcupine"
)

// The checker itself: histories that must and must not pass.
func TestRegister(t *testing.T) {
	op := func(from, to int64, in call, out answer) porcupine.Operation {
		return porcupine.Operation{Call: from, Return: to, Input: in, Output: out}
	}
	load := func(from, to int64, content string) porcupine.Operation {
		return op(from, to, call{load: true}, answer{content: content})
	}
	swap := func(from, to int64, old, new string, o outcome) porcupine.Operation {
		return op(from, to, call{old: old, new: new}, answer{outcome: o})
	}
	const never = math.MaxInt64
	tests := map[string]struct {
		history []porcupine.Operation
		want    porcupine.CheckResult
	}{
		"one after the other":      {[]porcupine.Operation{swap(1, 2, "", "a", swapped), swap(3, 4, "a", "b", swapped), load(5, 6, "b")}, porcupine.Ok},
		"a stale writer wins":      {[]porcupine.Operation{swap(1, 2, "", "a", swapped), swap(3, 4, "a", "b", swapped), swap(5, 6, "a", "c", swapped)}, porcupine.Illegal},
		"two creators win":         {[]porcupine.Operation{swap(1, 4, "", "a", swapped), swap(2, 3, "", "b", swapped)}, porcupine.Illegal},
		"a stale read":             {[]porcupine.Operation{swap(1, 2, "", "a", swapped), load(3, 4, "")}, porcupine.Illegal},
		"a conflict with nobody":   {[]porcupine.Operation{swap(1, 2, "", "a", swapped), swap(3, 4, "a", "b", conflict)}, porcupine.Illegal},
		"a conflict that wrote":    {[]porcupine.Operation{swap(1, 2, "", "a", swapped), swap(3, 4, "", "b", conflict), load(5, 6, "b")}, porcupine.Illegal},
		"a lost update":            {[]porcupine.Operation{swap(1, 2, "", "a", swapped), swap(3, 4, "a", "b", swapped), load(5, 6, "a")}, porcupine.Illegal},
		"unknown, and done":        {[]porcupine.Operation{swap(1, never, "", "a", unknown), load(3, 4, "a")}, porcupine.Ok},
		"unknown, and not done":    {[]porcupine.Operation{swap(1, never, "", "a", unknown), load(3, 4, "")}, porcupine.Ok},
		"unknown, and done late":   {[]porcupine.Operation{swap(1, never, "", "a", unknown), load(3, 4, ""), load(5, 6, "a")}, porcupine.Ok},
		"unknown, and undone":      {[]porcupine.Operation{swap(1, never, "", "a", unknown), load(3, 4, "a"), load(5, 6, "")}, porcupine.Illegal},
		"unknown, and superseded":  {[]porcupine.Operation{swap(1, never, "", "a", unknown), swap(3, 4, "", "b", swapped), load(5, 6, "b")}, porcupine.Ok},
		"unknown, done over newer": {[]porcupine.Operation{swap(1, never, "", "a", unknown), swap(3, 4, "", "b", swapped), load(5, 6, "a")}, porcupine.Illegal},
	}
	for name, test := range tests {
		if got := Check(test.history); got != test.want {
			t.Errorf("%s: %s, want %s", name, got, test.want)
		}
	}
}
