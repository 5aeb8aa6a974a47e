package alarm

import (
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

// Alarms that come as often come at one moment.
func TestAlarmsComeTogether(t *testing.T) {
	kernel.Store(true)
	defer kernel.Store(false)
	const every = 80 * time.Millisecond
	a := New(every, every)
	defer a.Stop()
	time.Sleep(every / 2)
	b := New(every, every)
	defer b.Stop()
	apart := func() time.Duration {
		select {
		case <-a.C: // b's first may have been the moment after a's
		default:
		}
		<-a.C
		now := time.Now()
		<-b.C
		return time.Since(now)
	}
	<-b.C
	closest := apart()
	for range 5 {
		closest = min(closest, apart())
	}
	if closest > every/4 {
		t.Errorf("two alarms that come every %v stay %v apart", every, closest)
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
	if compute(3 * often) {
		t.Log("the monitor was awake") // as something may always have it
		return
	}
	rest()
	if !compute(20 * time.Second) {
		t.Error("a goroutine that computed for 20 s let nobody else run, though one had held the processor before")
	}
}
