//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"
)

// A load is one closed-loop workload: each connection asks again as soon as it has its answer.
type load struct {
	Name        string
	Connections int
	Streams     int  // at a time on each connection, of HTTP/2; 0 is HTTP/1.1
	HTTP3       bool // over QUIC, Streams at a time on each connection
	GRPC        bool // calls over HTTP/2, Streams at a time on each connection
	WebSocket   bool // messages, each on a connection that stays
	Closes      bool // every request has a connection of its own
	Path        string
	Size        int64 // of the body, in bytes
}

var (
	small = load{Name: "128 B, c=64", Connections: 64, Path: "/api/128", Size: 128}
	loads = []load{
		{Name: "128 B, c=1", Connections: 1, Path: "/api/128", Size: 128},
		small,
		{Name: "128 B, c=256", Connections: 256, Path: "/api/128", Size: 128},
		{Name: "10 KiB, c=64", Connections: 64, Path: "/api/10k", Size: 10 << 10},
		{Name: "1 MiB, c=64", Connections: 64, Path: "/api/1m", Size: 1 << 20},
	}
)

// A round is what one product did in one round of one load.
type round struct {
	Requests int64         `json:"requests"`
	Elapsed  time.Duration `json:"elapsed"`
	CPU      time.Duration `json:"cpu"` // of the proxy's process tree
}

// microsPerRequest is the proxy's CPU time per request in microseconds.
func (r round) microsPerRequest() float64 {
	return float64(r.CPU.Nanoseconds()) / 1e3 / float64(r.Requests)
}

func (r round) requestsPerSecond() float64 {
	return float64(r.Requests) / r.Elapsed.Seconds()
}

func (b *bench) measureClosed() error {
	return b.compare("bare", loads, b.closeRounds(), nil)
}

// measureDeployed repeats the central load with a JSON access log and metrics on everywhere.
func (b *bench) measureDeployed() error {
	return b.compare("deployed", []load{small}, b.closeRounds(), func(s *settings) { s.Deployed = true })
}

// closeRounds is how many rounds there are where products are within a few per cent of each other, or where a
// single round says little.
func (b *bench) closeRounds() int { return 2 * b.rounds }

// compare runs every load against every product, round after round, the products in turn. The rounds are
// divided among several starts of every product: where a process comes to lie in memory is worth a few per
// cent, for as long as it runs.
func (b *bench) compare(set string, loads []load, rounds int, change func(*settings)) error {
	starts := min(max(3, rounds/2), rounds)
	for start := range starts {
		if err := b.compareOnce(set, loads, change, rounds*(start+1)/starts-rounds*start/starts); err != nil {
			return err
		}
	}
	for _, l := range loads {
		b.report.progress(set, l.Name)
	}
	return nil
}

func (b *bench) compareOnce(set string, loads []load, change func(*settings), rounds int) error {
	instances, err := b.startAll(change)
	if err != nil {
		return err
	}
	defer stopAll(instances)
	for _, l := range loads {
		for _, i := range instances {
			if _, err := b.drive(i, l, time.Second/2); err != nil { // warms up; not counted
				return err
			}
		}
		for range rounds {
			for _, i := range instances {
				r, err := b.drive(i, l, b.duration)
				if err != nil {
					return err
				}
				b.report.addRound(set, l.Name, i.name, r)
			}
		}
		fmt.Fprintf(os.Stderr, "bench:   %s %s: %d rounds done\n", set, l.Name, rounds)
	}
	return nil
}

// startAll starts one instance of every product; settings are adjusted by change, which may be nil.
func (b *bench) startAll(change func(*settings)) ([]*instance, error) {
	var instances []*instance
	for _, p := range b.products {
		i, err := b.start(p, change)
		if err != nil {
			stopAll(instances)
			return nil, err
		}
		instances = append(instances, i)
	}
	return instances, nil
}

func stopAll(instances []*instance) {
	for _, i := range instances {
		i.stop()
	}
}

// drive runs one round and refuses its figures when anything in it failed.
func (b *bench) drive(i *instance, l load, duration time.Duration) (round, error) {
	before, err := i.cpu()
	if err != nil {
		return round{}, err
	}
	var result wrkResult
	if l.HTTP3 {
		result, err = b.quicLoad(i, l, duration)
	} else if l.WebSocket {
		result, err = b.webSocketLoad(i, l, duration)
	} else if l.Streams > 0 {
		result, err = b.h2load(i, l, duration)
	} else {
		result, err = b.wrk(i, l, duration)
	}
	if err != nil {
		return round{}, fmt.Errorf("%s, %s: %w", i.name, l.Name, err)
	}
	after, err := i.cpu()
	if err != nil {
		return round{}, err
	}
	return round{result.Requests, time.Duration(result.Micros) * time.Microsecond, after - before}, nil
}

// wrkResult is what summaryScript makes wrk print.
type wrkResult struct {
	Requests, Micros, Bytes                int64
	Connect, Read, Write, Status, Timeouts int64
}

const summaryScript = `function done(s)
  io.write(string.format('\n@{"requests":%d,"micros":%d,"bytes":%d,"connect":%d,"read":%d,"write":%d,"status":%d,"timeouts":%d}\n',
    s.requests, s.duration, s.bytes, s.errors.connect, s.errors.read, s.errors.write, s.errors.status, s.errors.timeout))
end
`

// wrk drives a load over HTTP/1.1. An error of any request, or a byte too few, is an error.
func (b *bench) wrk(i *instance, l load, duration time.Duration) (wrkResult, error) {
	script := filepath.Join(b.cache, "run", "summary.lua")
	if err := os.WriteFile(script, []byte(summaryScript), 0o644); err != nil {
		return wrkResult{}, err
	}
	seconds := strconv.Itoa(max(1, int(duration.Round(time.Second).Seconds())))
	arguments := []string{"-t1", "-c" + strconv.Itoa(l.Connections), "-d" + seconds + "s", "-s", script, "-H", "Host: " + host}
	if l.Closes {
		arguments = append(arguments, "-H", "Connection: close")
	}
	arguments = append(arguments, fmt.Sprintf("%s://127.0.0.1:%d%s", i.scheme(), i.Port, l.Path))
	output, err := exec.CommandContext(b.ctx, "wrk", arguments...).CombinedOutput()
	if err != nil {
		return wrkResult{}, fmt.Errorf("wrk: %w: %s", err, output)
	}
	_, summary, found := bytes.Cut(output, []byte("\n@"))
	var r wrkResult
	if err := json.Unmarshal(summary, &r); !found || err != nil {
		return wrkResult{}, fmt.Errorf("wrk printed no summary: %s", output)
	}
	if failed := r.Connect + r.Read + r.Write + r.Status + r.Timeouts; failed > 0 {
		return wrkResult{}, fmt.Errorf("wrk counted %d errors: %+v", failed, r)
	}
	if r.Requests == 0 || r.Bytes < r.Requests*l.Size {
		return wrkResult{}, fmt.Errorf("wrk got %d bytes in %d answers of %d each", r.Bytes, r.Requests, l.Size)
	}
	return r, nil
}
