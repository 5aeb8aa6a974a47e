//go:build linux

// Command bench measures Pergola against nginx, HAProxy, Envoy and Caddy, side by side on this machine.
//
// Each proxy gets one worker, pinned to one CPU; the load generator and the backend share the other one.
// All are configured alike: one route by host and path prefix, upstream keep-alive, the same forwarding
// headers, metrics where they can be switched. Rounds are interleaved, so what disturbs the machine disturbs
// everybody; the figures are medians and, above all, ratios.
//
//	go run ./integration/bench                     all of it, about twenty minutes
//	go run ./integration/bench -quick              fewer and shorter rounds
//	go run ./integration/bench -only=closed,idle   some of it
//	go run ./integration/bench -peers=nginx        against one of them
//	go run ./integration/bench -other=/tmp/before  against another build of ours, too
//
// The table is printed and, unless -quick or -only left something out, written into docs/benchmarks.md; the
// figures of every round are in .cache/bench/report.json.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// The proxy under test runs on one CPU; the generator, which this program starts, and the backend on another.
const (
	proxyCPU     = 1
	generatorCPU = 0
)

// A bench is one run of the benchmark.
type bench struct {
	ctx      context.Context
	cache    string // directory for configurations, logs and downloads
	rounds   int
	duration time.Duration // of one closed-loop or open-loop round
	idle     int           // connections of the idle measurement
	files    uint64        // limit of open descriptors

	backend     *process
	backendPort int
	products    []product // that can be had, ours first
	report      *report
}

// measurements in the order they run. Each adds its part to the report.
var measurements = []struct {
	name string
	run  func(*bench) error
}{
	{"closed", (*bench).measureClosed},
	{"http2", (*bench).measureHTTP2},
	{"grpc", (*bench).measureGRPC},
	{"websocket", (*bench).measureWebSocket},
	{"tls", (*bench).measureTLS},
	{"http3", (*bench).measureHTTP3},
	{"deployed", (*bench).measureDeployed},
	{"stream", (*bench).measureStream},
	{"open", (*bench).measureOpen},
	{"idle", (*bench).measureIdle},
	{"syscalls", (*bench).measureSyscalls},
	{"routers", (*bench).measureRouters},
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run() error {
	if len(os.Args) == 3 && os.Args[1] == echoCommand {
		return serveEcho(os.Args[2])
	}
	quick := flag.Bool("quick", false, "at most 3 rounds of 2 s; docs/benchmarks.md is left alone")
	only := flag.String("only", "", "measurements to run, comma separated: "+strings.Join(measurementNames(), ","))
	peers := flag.String("peers", "nginx,haproxy,envoy,caddy", "proxies to compare with, comma separated")
	other := flag.String("other", "", "path of another build of pergola to measure beside; docs/benchmarks.md is left alone")
	rounds := flag.Int("rounds", 5, "interleaved rounds of each load")
	duration := flag.Duration("duration", 4*time.Second, "length of a round")
	idle := flag.Int("idle", 10_000, "connections of the idle measurement")
	cache := flag.String("cache", ".cache/bench", "directory for downloads, configurations and raw results")
	flag.Parse()
	if *quick {
		*rounds, *duration = min(*rounds, 3), min(*duration, 2*time.Second)
	}
	if *other != "" {
		addOther(*other)
	}
	chosen, err := chooseMeasurements(*only)
	if err != nil {
		return err
	}
	if err := pinSelf(); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	directory, err := filepath.Abs(*cache)
	if err != nil {
		return err
	}
	b := &bench{
		ctx: ctx, cache: directory, rounds: *rounds, duration: *duration, idle: *idle,
		files: raiseFileLimit(), report: newReport(*rounds, *duration),
	}
	if err := b.findProducts(strings.Split(*peers, ",")); err != nil {
		return err
	}
	if err := b.startBackend(); err != nil {
		return err
	}
	defer b.backend.stop()
	for _, measurement := range measurements {
		if !slices.Contains(chosen, measurement.name) {
			continue
		}
		fmt.Fprintf(os.Stderr, "bench: measuring %s\n", measurement.name)
		if err := measurement.run(b); err != nil {
			select {
			case <-b.backend.exited: // whatever failed, that is why
				err = errors.Join(err, b.backend.failure("ended"))
			default:
			}
			return fmt.Errorf("%s: %w", measurement.name, err)
		}
	}
	return b.publish(!*quick && *only == "" && *other == "")
}

func measurementNames() []string {
	var names []string
	for _, measurement := range measurements {
		names = append(names, measurement.name)
	}
	return names
}

// chooseMeasurements checks the names in the -only flag; none means all.
func chooseMeasurements(only string) ([]string, error) {
	known := measurementNames()
	if only == "" {
		return known, nil
	}
	chosen := strings.Split(only, ",")
	for _, name := range chosen {
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("-only: no measurement %q; there are %s", name, strings.Join(known, ", "))
		}
	}
	return chosen, nil
}

// pinSelf moves this program, and with it all it starts, to the generator's CPU. The affinity of a thread
// is inherited by what it creates, so the program replaces itself with a pinned copy.
func pinSelf() error {
	if runtime.NumCPU() == 1 && os.Getenv("PERGOLA_BENCH_PINNED") == "" {
		return fmt.Errorf("one CPU only: generator and proxy need one each to be told apart")
	}
	if os.Getenv("PERGOLA_BENCH_PINNED") != "" {
		// One CPU, but threads of the open-loop generator block in the kernel: let each have a P.
		runtime.GOMAXPROCS(2 * openConnections)
		return nil
	}
	runtime.LockOSThread()
	var set unix.CPUSet
	set.Set(generatorCPU)
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		return fmt.Errorf("pin to CPU %d: %w", generatorCPU, err)
	}
	executable, err := os.Executable()
	if err != nil {
		return err
	}
	return syscall.Exec(executable, os.Args, append(os.Environ(), "PERGOLA_BENCH_PINNED=1"))
}

// raiseFileLimit asks for descriptors enough for both ends of the idle connections and returns what it got.
func raiseFileLimit() uint64 {
	var limit syscall.Rlimit
	syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit)
	wanted := syscall.Rlimit{Cur: 65536, Max: max(65536, limit.Max)}
	if syscall.Setrlimit(syscall.RLIMIT_NOFILE, &wanted) != nil {
		wanted = syscall.Rlimit{Cur: limit.Max, Max: limit.Max} // not privileged: as far as it goes
		syscall.Setrlimit(syscall.RLIMIT_NOFILE, &wanted)
	}
	return wanted.Cur
}
