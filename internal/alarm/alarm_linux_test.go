package alarm

import (
	"math"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pergola-mesh/pergola/internal/waittest"
)

// descriptors counts those of timers.
func descriptors(t *testing.T) (n int) {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range list {
		if to, _ := os.Readlink("/proc/self/fd/" + fd.Name()); strings.Contains(to, "timerfd") {
			n++
		}
	}
	return n
}

func TestAlarmOfTheKernel(t *testing.T) {
	kernel.Store(true)
	defer kernel.Store(false)
	goroutines := runtime.NumGoroutine()
	a := New(time.Hour, 0)
	if n := descriptors(t); n != 1 {
		t.Fatalf("%d descriptors of timers, want 1", n)
	}
	tellsAsSet(t, a)
	a.Stop()
	if n := descriptors(t); n != 0 {
		t.Errorf("%d descriptors of timers after Stop", n)
	}
	waittest.Until(t, "the goroutine's end", func() bool { return runtime.NumGoroutine() <= goroutines })
}

func TestMoment(t *testing.T) {
	const now = 1_000_000_123
	for _, tt := range []struct{ first, every, want int64 }{
		{0, 0, now},
		{50, 0, now + 50},
		{-1, 0, now},
		{math.MinInt64, 0, now},
		{math.MaxInt64, 0, now + math.MaxInt64/2},
		{50, 50, 1_000_000_150}, // with others that were set at another moment
		{100, 50, 1_000_000_200},
		{0, 1000, 1_000_000_000}, // at once
	} {
		if got := moment(now, tt.first, tt.every); got != tt.want {
			t.Errorf("%d, every %d: %d, want %d", tt.first, tt.every, got, tt.want)
		}
	}
}

// child is set in the process that TestProcessorIsShared starts.
const child = "PERGOLA_ALARM_CHILD"

// TestProcessorIsShared has one goroutine compute on the only processor of a process without timers. Once that has
// held everything up, there is a timer, and the next such goroutine shares.
func TestProcessorIsShared(t *testing.T) {
	if os.Getenv(child) != "" {
		share(t)
		return
	}
	c := exec.Command(os.Args[0], "-test.run=^TestProcessorIsShared$", "-test.timeout=0") // which would be a timer
	c.Env = append(os.Environ(), child+"=1", "GOMAXPROCS=1")
	if out, err := c.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func share(t *testing.T) {
	UseKernel()
	a := New(often, often)
	defer a.Stop()
	var heard atomic.Int64
	go func() {
		for range a.C {
			heard.Add(1)
		}
	}()
	quiet := New(0, 5*often) // is set once, for that is a call that wakes the monitor
	defer quiet.Stop()
	rest := func() { // until the monitor sleeps
		<-quiet.C
		<-quiet.C
	}
	compute := func(most time.Duration) (shared bool) {
		before := heard.Load()
		for began := time.Now(); time.Since(began) < most; {
			if heard.Load() > before {
				return true
			}
		}
		return false
	}
	rest()
	for tries := 0; compute(3 * often); rest() { // something may have woken the monitor
		if tries++; tries == 10 {
			t.Fatal("the monitor never sleeps: nobody holds the processor")
		}
	}
	rest()
	if !compute(20 * time.Second) {
		t.Error("a goroutine that computed for 20 s let nobody else run, though one had held the processor before")
	}
}
