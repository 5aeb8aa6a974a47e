//go:build !amd64

package clock

func cycles() uint64   { return 0 }
func hasCounter() bool { return false }
