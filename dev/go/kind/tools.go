//go:build tools

// Package tools pins kind, so that go.sum covers all that it compiles from.
package tools

import (
	_ "sigs.k8s.io/kind"
)
