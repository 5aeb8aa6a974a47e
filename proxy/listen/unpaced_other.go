//go:build !linux

package listen

import "syscall"

// Unpaced is for Linux.
func Unpaced(string, string, syscall.RawConn) error { return nil }
