//go:build tools

// Package tools pins metrics-server, so that go.sum covers all that it compiles from.
package tools

import (
	_ "sigs.k8s.io/metrics-server/cmd/metrics-server"
)
