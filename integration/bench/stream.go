//go:build linux

package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// streamConfigs are what relays TCP is started with; a product that has none is left out. Debian's nginx
// comes without its stream module.
var streamConfigs = map[string]struct {
	configs   [][2]string
	arguments []string
}{
	"pergola": {[][2]string{{"stream-static.yaml", "static.yaml"}, {"stream-dynamic.yaml", "dynamic.yaml"}}, []string{"--configFile={}/static.yaml"}},
	"other":   {[][2]string{{"stream-static.yaml", "static.yaml"}, {"stream-dynamic.yaml", "dynamic.yaml"}}, []string{"--configFile={}/static.yaml"}},
	"haproxy": {[][2]string{{"stream.cfg", "haproxy.cfg"}}, []string{"-db", "-f", "{}/haproxy.cfg"}},
}

// streamConnections carry bytes at a time.
const streamConnections = 4

// measureStream compares the processor time that a gibibyte takes from clients to a server over plain TCP.
// All splice.
func (b *bench) measureStream() error {
	sink, err := startSink()
	if err != nil {
		return err
	}
	defer sink.Close()
	b.report.Streams = map[string][]float64{}
	for range b.closeRounds() {
		for _, p := range b.products {
			config, ok := streamConfigs[p.name]
			if !ok {
				continue
			}
			p.configs, p.arguments = config.configs, config.arguments
			seconds, err := b.streamRound(p, sink.Addr().(*net.TCPAddr).Port)
			if err != nil {
				return fmt.Errorf("%s: %w", p.name, err)
			}
			b.report.Streams[p.name] = append(b.report.Streams[p.name], seconds)
			fmt.Fprintf(os.Stderr, "bench: stream, %s: %.3f s of CPU per GiB\n", p.name, seconds)
		}
	}
	return nil
}

// streamRound is the processor seconds that a product takes for a gibibyte.
func (b *bench) streamRound(p product, sink int) (float64, error) {
	s, err := b.prepare(p.name, func(s *settings) { s.BackendPort = sink })
	if err != nil {
		return 0, err
	}
	for _, config := range p.configs {
		if err := writeConfig(config[0], filepath.Join(s.Dir, config[1]), s); err != nil {
			return 0, err
		}
	}
	argv := []string{p.path}
	for _, argument := range p.arguments {
		argv = append(argv, strings.ReplaceAll(argument, "{}", s.Dir))
	}
	started, err := startProcess(p.name, s.Dir, proxyCPU, p.env, argv...)
	if err != nil {
		return 0, err
	}
	defer started.stop()
	address := fmt.Sprintf("127.0.0.1:%d", s.Port)
	if err := pour(address, 64<<10, 10*time.Second); err != nil { // until it is there
		return 0, started.failure(err.Error())
	}
	before, err := started.cpu()
	if err != nil {
		return 0, err
	}
	const each = 1 << 30
	var wg sync.WaitGroup
	errs := make(chan error, streamConnections)
	for range streamConnections {
		wg.Go(func() { errs <- pour(address, each, 0) })
	}
	wg.Wait()
	for range streamConnections {
		if err := <-errs; err != nil {
			return 0, err
		}
	}
	after, err := started.cpu()
	return (after - before).Seconds() / streamConnections, err
}

// pour sends n bytes and waits until the sink has them all. It tries to connect for as long as patience.
func pour(address string, n int64, patience time.Duration) error {
	var c net.Conn
	var err error
	for until := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		if c, err = net.Dial("tcp", address); err == nil {
			break
		}
		if time.Now().After(until) {
			return err
		}
	}
	defer c.Close()
	chunk := make([]byte, 256<<10)
	for sent := int64(0); sent < n; {
		m, err := c.Write(chunk[:min(int64(len(chunk)), n-sent)])
		if sent += int64(m); err != nil {
			return err
		}
	}
	c.(*net.TCPConn).CloseWrite()
	var got int64
	if _, err := fmt.Fscanln(c, &got); err != nil || got != n {
		return fmt.Errorf("the sink has %d of %d bytes: %v", got, n, err)
	}
	return nil
}

// startSink takes whatever comes and then says how much that was.
func startSink() (net.Listener, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				n, _ := io.CopyBuffer(io.Discard, struct{ io.Reader }{c}, make([]byte, 256<<10))
				fmt.Fprintln(c, n)
			}()
		}
	}()
	return ln, nil
}

// streamTable shows the medians.
func (r *report) streamTable(out *strings.Builder) {
	if len(r.Streams) == 0 {
		return
	}
	itself := func(seconds float64) float64 { return seconds }
	ours := median(r.Streams["pergola"], itself)
	out.WriteString("\n### TCP: CPU time per GiB in ms (in brackets: ours ÷ theirs)\n\nFour connections from clients to a server, plaintext.\n\n| product | ms |\n|---|---|\n")
	for _, name := range names(r.Streams) {
		theirs := median(r.Streams[name], itself)
		fmt.Fprintf(out, "| %s | %.0f (%.2f) |\n", name, theirs*1000, ours/theirs)
	}
}
