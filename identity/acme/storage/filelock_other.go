//go:build !unix

package storage

// lockFile does nothing: the process's own locks must do.
func lockFile(string, bool) (unlock func(), err error) { return func() {}, nil }
