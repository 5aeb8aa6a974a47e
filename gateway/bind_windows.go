package gateway

import (
	"errors"
	"syscall"
)

// reusePort lets several processes listen on one address: Windows has no such thing.
func reusePort(string, string, syscall.RawConn) error {
	return errors.New("reusePort is not available on Windows")
}

func bindRemedy(error) string { return "" }
