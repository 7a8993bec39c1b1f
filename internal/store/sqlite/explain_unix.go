//go:build unix

package sqlite

import (
	"errors"
	"syscall"
)

// noRoom reports whether the operating system said so.
func noRoom(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG)
}
