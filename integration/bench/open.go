//go:build linux

package main

import (
	"bytes"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

const (
	openRate        = 1000 // requests a second
	openConnections = 8
)

var openQuantiles = []float64{0.5, 0.9, 0.99}

// latencies are the values at openQuantiles.
type latencies [3]time.Duration

// quantiles are latencies, or differences of them, in microseconds.
type quantiles [3]float64

func (l latencies) micros() (q quantiles) {
	for i, latency := range l {
		q[i] = float64(latency) / 1e3
	}
	return q
}

// measureOpen sends requests at a fixed rate, whatever the answers do, to every proxy and to the backend
// directly. Latency counts from the moment the schedule had for the request, not from when it was sent: a
// stall is charged with all the requests that it held up.
func (b *bench) measureOpen() error {
	instances, err := b.startAll(nil)
	if err != nil {
		return err
	}
	defer stopAll(instances)
	for _, i := range instances {
		if _, err := b.drive(i, small, time.Second); err != nil { // warms up
			return err
		}
	}
	for range b.closeRounds() {
		direct, err := openLoop(b.backendPort, b.duration)
		if err != nil {
			return err
		}
		b.report.Direct = append(b.report.Direct, direct.micros())
		for _, i := range instances {
			proxied, err := openLoop(i.Port, b.duration)
			if err != nil {
				return fmt.Errorf("%s: %w", i.name, err)
			}
			more := proxied.micros()
			for q, micros := range direct.micros() {
				more[q] -= micros
			}
			b.report.Latency[i.name] = append(b.report.Latency[i.name], more)
		}
	}
	return nil
}

// openLoop returns the latencies at openQuantiles.
func openLoop(port int, duration time.Duration) (latencies, error) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // a pause here would look like one of the proxy
	runtime.GC()
	total := int64(duration.Seconds() * openRate)
	taken := make([]time.Duration, total)
	failures := make([]error, openConnections)
	begin := monotonic() + 50*time.Millisecond
	var next atomic.Int64
	var workers sync.WaitGroup
	for w := range openConnections {
		workers.Go(func() {
			failures[w] = openWorker(port, begin, &next, taken)
		})
	}
	workers.Wait()
	for _, err := range failures {
		if err != nil {
			return latencies{}, err
		}
	}
	slices.Sort(taken)
	var result latencies
	for i, q := range openQuantiles {
		result[i] = taken[int(q*float64(total))]
	}
	return result, nil
}

// openWorker takes request after request of the common schedule. It owns a thread and a blocking socket:
// the runtime's timers and poller are too coarse for tens of microseconds.
func openWorker(port int, begin time.Duration, next *atomic.Int64, taken []time.Duration) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0) // nanosecond; the default of 50 µs only blurs
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.Connect(fd, &unix.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return err
	}
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
		return err
	}
	unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 10})
	request := []byte("GET /api/128 HTTP/1.1\r\nHost: " + host + "\r\n\r\n")
	for {
		n := next.Add(1) - 1
		if n >= int64(len(taken)) {
			return nil
		}
		due := begin + time.Duration(n)*time.Second/openRate
		at := unix.NsecToTimespec(int64(due))
		for unix.ClockNanosleep(unix.CLOCK_MONOTONIC, unix.TIMER_ABSTIME, &at, nil) == unix.EINTR {
		}
		if _, err := unix.Write(fd, request); err != nil {
			return err
		}
		if err := readAnswer(socket(fd)); err != nil {
			return err
		}
		taken[n] = monotonic() - due
	}
}

// readAnswer reads one whole answer of /api/128 and insists on it being one.
func readAnswer(from io.Reader) error {
	var buffer [4096]byte
	have := 0
	for {
		n, err := from.Read(buffer[have:])
		if err != nil {
			return fmt.Errorf("connection ended within an answer: %q, %w", buffer[:have], err)
		}
		have += n
		if !bytes.HasPrefix(buffer[:have], []byte("HTTP/1.1 200")) {
			return fmt.Errorf("unexpected answer %q", buffer[:have])
		}
		if end := bytes.Index(buffer[:have], []byte("\r\n\r\n")); end >= 0 && have == end+4+len(smallBody) {
			return nil
		}
	}
}

// A socket is a blocking descriptor that the runtime does not know of.
type socket int

func (s socket) Read(buffer []byte) (int, error) {
	for {
		n, err := unix.Read(int(s), buffer)
		switch {
		case err == unix.EINTR:
		case err != nil:
			return 0, err
		case n == 0:
			return 0, io.EOF
		default:
			return n, nil
		}
	}
}

func monotonic() time.Duration {
	var now unix.Timespec
	unix.ClockGettime(unix.CLOCK_MONOTONIC, &now)
	return time.Duration(now.Nano())
}
