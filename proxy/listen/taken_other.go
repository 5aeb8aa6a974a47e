//go:build !linux

package listen

func unsent(uintptr) int { return -1 }
