//go:build linux

package main

import (
	"os"
	"path/filepath"
	"strings"
	"time"
)

// smallBody is what /api/128 answers.
var smallBody = strings.Repeat("x", 128)

// startBackend starts the nginx that answers for the proxies, on the generator's CPU.
func (b *bench) startBackend() error {
	path, err := findOnPath("nginx")("")
	if err != nil {
		return err
	}
	run := filepath.Join(b.cache, "run") // what the last run left may be looked at until now
	if err := os.RemoveAll(run); err != nil {
		return err
	}
	if err := os.MkdirAll(run, 0o755); err != nil {
		return err
	}
	s, err := b.prepare("backend", nil)
	if err != nil {
		return err
	}
	bodies := filepath.Join(s.Dir, "bodies")
	if err := os.Mkdir(bodies, 0o755); err != nil {
		return err
	}
	for name, size := range map[string]int{"10k": 10 << 10, "1m": 1 << 20} {
		if err := os.WriteFile(filepath.Join(bodies, name), []byte(strings.Repeat("0123456789abcdef", size/16)), 0o644); err != nil {
			return err
		}
	}
	config := filepath.Join(s.Dir, "nginx.conf")
	if err := writeConfig("backend.conf", config, s); err != nil {
		return err
	}
	b.backend, err = startProcess("backend", s.Dir, generatorCPU, nil, path, "-e", "stderr", "-p", s.Dir, "-c", config)
	if err != nil {
		return err
	}
	b.backendPort = s.Port
	deadline := time.After(10 * time.Second)
	for {
		if response, body, err := fetch(s.Port, "/api/1m", host); err == nil && response.StatusCode == 200 && len(body) == 1<<20 {
			return nil
		}
		select {
		case <-b.backend.exited:
			return b.backend.failure("ended at once")
		case <-deadline:
			b.backend.stop()
			return b.backend.failure("does not answer")
		case <-time.After(20 * time.Millisecond):
		}
	}
}
