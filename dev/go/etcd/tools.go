//go:build tools

// Package tools pins etcd, so that go.sum covers all that it compiles from.
package tools

import (
	_ "go.etcd.io/etcd/server/v3"
)
