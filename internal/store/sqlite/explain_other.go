//go:build !unix

package sqlite

// noRoom reports whether the operating system said so. SQLite's own code tells it here.
func noRoom(error) bool { return false }
