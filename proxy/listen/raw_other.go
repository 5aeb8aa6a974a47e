//go:build !linux

package listen

// fused says whether connections use the fused path on this platform.
const fused = false

// ReadNow is for Linux.
func ReadNow(uintptr, []byte) (int, error)           { panic("no fused path on this platform") }
func rawWrite2(uintptr, []byte, []byte) (int, error) { panic("no fused path on this platform") }
func readable(uintptr) bool                          { return false }
func wakeEnded(uintptr)                              {}
