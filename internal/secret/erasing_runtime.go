//go:build goexperiment.runtimesecret

package secret

import "runtime/secret"

func erasing(f func()) { secret.Do(f) }
