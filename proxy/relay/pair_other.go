//go:build !linux

package relay

// together is for Linux.
func (s *stream) together(*Link) (error, bool) { return nil, false }
