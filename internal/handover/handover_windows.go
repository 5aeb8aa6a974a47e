package handover

import (
	"errors"
	"log/slog"
	"os"
)

// errNotHere is why there is no handover.
var errNotHere = errors.New("sockets cannot be handed over on Windows")

// ErrLate is a successor that another has been faster than.
var ErrLate = errors.New("another process has taken over meanwhile")

// Predecessor is the process whose sockets were taken: none.
type Predecessor struct{ PID int }

// Take fails.
func Take(string, *Sockets) (*Predecessor, error) { return nil, errNotHere }

// Ready fails.
func (*Predecessor) Ready() error { return errNotHere }

// Done does nothing.
func (*Predecessor) Done() {}

// Server hands over nothing.
type Server struct{}

// Serve fails.
func Serve(string, *Sockets, *slog.Logger, func()) (*Server, error) { return nil, errNotHere }

// Close does nothing.
func (*Server) Close() error { return nil }

func isNetwork(*os.File, string) bool { return false }

// AddSystemd finds nothing.
func (*Sockets) AddSystemd() error { return nil }

// Notify does nothing.
func Notify(...string) error { return nil }
