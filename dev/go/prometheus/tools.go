//go:build tools

// Package tools pins prometheus, so that go.sum covers all that it compiles from.
package tools

import (
	_ "github.com/prometheus/prometheus/cmd/prometheus"
)
