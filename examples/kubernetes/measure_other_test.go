//go:build unix && !linux

package kubernetes_test

import "testing"

func (p *pod) fits(*testing.T, *workload) {}
