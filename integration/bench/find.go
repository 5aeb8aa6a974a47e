//go:build linux

package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// findOurs takes the gateway that make build left.
func findOurs(string) (string, error) {
	path, err := filepath.Abs("bin/pergola")
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("%w: run make build first", err)
	}
	return path, nil
}

// findOnPath finds a program that a Debian package installs, possibly outside an ordinary user's path.
func findOnPath(name string) func(string) (string, error) {
	return func(string) (string, error) {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
		path := "/usr/sbin/" + name
		if _, err := os.Stat(path); err != nil {
			return "", fmt.Errorf("%w: install the package %s", err, name)
		}
		return path, nil
	}
}

// findInPython finds a program that comes as a Python package, installing it into a virtual environment of
// the cache the first time. pattern is the program's place in there.
func findInPython(packageName, pattern string) func(string) (string, error) {
	return func(cache string) (string, error) {
		venv := filepath.Join(cache, "venv")
		if found, _ := filepath.Glob(filepath.Join(venv, pattern)); len(found) > 0 {
			return found[0], nil
		}
		fmt.Fprintf(os.Stderr, "bench: installing %s into %s\n", packageName, venv)
		if err := os.MkdirAll(cache, 0o755); err != nil {
			return "", err
		}
		for _, argv := range [][]string{
			{"python3", "-m", "venv", venv},
			{filepath.Join(venv, "bin/pip"), "install", "--quiet", packageName},
		} {
			if output, err := exec.Command(argv[0], argv[1:]...).CombinedOutput(); err != nil {
				return "", fmt.Errorf("%s %s: %w: %s (needs the package python3-venv and a way to the package index)",
					argv[0], argv[1], err, bytes.TrimSpace(output[max(0, len(output)-300):]))
			}
		}
		found, err := filepath.Glob(filepath.Join(venv, pattern))
		if err != nil || len(found) == 0 {
			return "", fmt.Errorf("%s holds no %s", packageName, pattern)
		}
		return found[0], nil
	}
}
