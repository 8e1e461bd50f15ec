//go:build tools

// Package tools pins envoy-gateway, so that go.sum covers all that it compiles from.
package tools

import (
	_ "github.com/envoyproxy/gateway/cmd/envoy-gateway"
)
