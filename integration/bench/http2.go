//go:build linux

package main

import (
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"time"
)

// http2Loads are of HTTP/2 from the client and HTTP/1.1 to the backend.
var http2Loads = []load{
	{Name: "HTTP/2, 128 B, c=8, 10 streams each", Connections: 8, Streams: 10, Path: "/api/128", Size: 128},
	{Name: "HTTP/2, 128 B, c=8, 1 stream each", Connections: 8, Streams: 1, Path: "/api/128", Size: 128},
	{Name: "HTTP/2, 10 KiB, c=8, 10 streams each", Connections: 8, Streams: 10, Path: "/api/10k", Size: 10 << 10},
}

// measureHTTP2 compares plaintext HTTP/2 by prior knowledge.
func (b *bench) measureHTTP2() error {
	return b.compare("bare", http2Loads, b.rounds, (*settings).speakHTTP2)
}

// speakHTTP2 has a product speak HTTP/2 too.
func (s *settings) speakHTTP2() {
	s.HTTP2 = true
	if ports, err := freePorts(1); err == nil { // else 0, which nobody can listen on
		s.HTTP2Port = ports[0]
	}
}

// Lines of h2load's summary.
var (
	h2loadRequests = regexp.MustCompile(`requests: \d+ total, \d+ started, (\d+) done, (\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout
status codes: (\d+) 2xx`)
	h2loadTraffic = regexp.MustCompile(`traffic: .*\((\d+)\) data`)
)

// h2load drives a load over HTTP/2. An error of any request, or a byte too few, is an error.
func (b *bench) h2load(i *instance, l load, duration time.Duration) (wrkResult, error) {
	seconds := max(1, int(duration.Round(time.Second).Seconds()))
	arguments := []string{"-t1", "-c" + strconv.Itoa(l.Connections), "-m" + strconv.Itoa(l.Streams),
		"-D" + strconv.Itoa(seconds), "-H", ":authority: " + host}
	if l.GRPC {
		more, err := b.grpcArguments()
		if err != nil {
			return wrkResult{}, err
		}
		arguments = append(arguments, more...)
	}
	arguments = append(arguments, fmt.Sprintf("http://127.0.0.1:%d%s", i.http2(), l.Path))
	output, err := exec.CommandContext(b.ctx, "h2load", arguments...).CombinedOutput()
	if err != nil {
		return wrkResult{}, fmt.Errorf("h2load: %w: %s", err, output)
	}
	counts, traffic := h2loadRequests.FindSubmatch(output), h2loadTraffic.FindSubmatch(output)
	if counts == nil || traffic == nil {
		return wrkResult{}, fmt.Errorf("h2load printed no summary: %s", output)
	}
	number := func(text []byte) int64 {
		n, _ := strconv.ParseInt(string(text), 10, 64)
		return n
	}
	done, size := number(counts[1]), number(traffic[1])
	if number(counts[2]) != done || number(counts[3])+number(counts[4])+number(counts[5]) > 0 || number(counts[6]) < done {
		return wrkResult{}, fmt.Errorf("h2load counted errors: %s", output)
	}
	if done == 0 || size < done*l.Size {
		return wrkResult{}, fmt.Errorf("h2load got %d bytes in %d answers of %d each", size, done, l.Size)
	}
	return wrkResult{Requests: done, Micros: int64(seconds) * 1e6, Bytes: size}, nil
}
