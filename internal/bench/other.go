//go:build !linux

package bench

import (
	"context"
	"errors"
	"io"
)

// errLinux is the answer of every other system: what an operation costs is read from Linux's accounting.
var errLinux = errors.New("bench reads what the kernel of Linux counts: it runs there only, also in a container")

// Run measures on Linux only.
func Run(context.Context, Options) error { return errLinux }

// ServeFloor serves on Linux only.
func ServeFloor(context.Context, string, string, io.Writer) error { return errLinux }
