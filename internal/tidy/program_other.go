//go:build !linux

package tidy

// dropProgram does nothing: other systems do not tell what of the program is mapped.
func dropProgram() {}
