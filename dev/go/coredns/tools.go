//go:build tools

// Package tools pins coredns, so that go.sum covers all that it compiles from.
package tools

import (
	_ "github.com/coredns/coredns"
)
