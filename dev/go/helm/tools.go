//go:build tools

// Package tools pins helm, so that go.sum covers all that it compiles from.
package tools

import (
	_ "helm.sh/helm/v3/cmd/helm"
)
