package clock

import (
	"sync"
	"testing"
	"time"
)

// machine is a counter and a system's clock that go as a test wants.
type machine struct {
	cycles uint64
	ns     float64
	each   float64 // nanoseconds a cycle
}

func (m *machine) pass(d time.Duration) {
	m.cycles += uint64(float64(d) / m.each)
	m.ns += float64(d)
}

// now is what Now does, at f.
func (m *machine) now(f *follower) int64 {
	if r := f.rate.Load(); r != nil {
		if d := m.cycles - r.cycles; d < r.due {
			return r.at(d)
		}
	}
	if !f.usable {
		return int64(m.ns)
	}
	return f.look(m.cycles, int64(m.ns))
}

func following(m *machine) *follower {
	return &follower{usable: true, cycles: m.cycles, ns: int64(m.ns)}
}

func TestTheCounterFollowsAClockThatIsSet(t *testing.T) {
	m := &machine{cycles: 1 << 63, ns: 5e9, each: 0.4}
	f := following(m)
	last := int64(0)
	for i := range 60_000 {
		// The kernel sets its clock by letting it run faster or slower, by 1/2000 at most.
		switch i {
		case 10_000:
			m.each = 0.4 * (1 + 1./2000)
		case 30_000:
			m.each = 0.4 * (1 - 1./2000)
		}
		m.pass(time.Millisecond)
		now := m.now(f)
		if now <= last {
			t.Fatalf("after %d ms the clock went from %d to %d", i, last, now)
		}
		if off := now - int64(m.ns); off > 2e6 || off < -2e6 {
			t.Fatalf("after %d ms the clock is off by %d ns", i, off)
		}
		last = now
	}
	if f.rate.Load() == nil {
		t.Fatal("the counter was given up")
	}
	if off := last - int64(m.ns); off > 1000 || off < -1000 {
		t.Errorf("long after the last change the clock is off by %d ns", off)
	}
}

// Two goroutines that find the comparison due at one moment make it one behind the other, and no two readings are
// without some noise.
func TestTheCounterIsComparedTwiceAtOnce(t *testing.T) {
	m := &machine{cycles: 1 << 40, each: 0.4}
	f := following(m)
	for range 5 {
		m.pass(time.Second)
		first := f.look(m.cycles, int64(m.ns))
		if second := f.look(m.cycles+500, int64(m.ns)+400); second < first {
			t.Errorf("from %d to %d", first, second)
		}
		if f.rate.Load() == nil {
			t.Fatal("the counter was given up")
		}
		m.pass(time.Second / 2)
		if off := m.now(f) - int64(m.ns); off > 1000 || off < -1000 {
			t.Errorf("the clock is off by %d ns", off)
		}
	}
}

func TestACounterIsGivenUp(t *testing.T) {
	for name, change := range map[string]func(*machine){
		"faster":  func(m *machine) { m.each *= 1.01 },
		"slower":  func(m *machine) { m.each /= 1.01 },
		"half":    func(m *machine) { m.each *= 2 },
		"back":    func(m *machine) { m.cycles -= 1e12 },
		"forward": func(m *machine) { m.cycles += 3e9 },
	} {
		t.Run(name, func(t *testing.T) {
			m := &machine{cycles: 1 << 40, each: 0.4}
			f := following(m)
			for range 3000 {
				m.pass(time.Millisecond)
				m.now(f)
			}
			if f.rate.Load() == nil {
				t.Fatal("the counter was not used")
			}
			change(m)
			for range 6000 {
				m.pass(time.Millisecond)
				m.now(f)
			}
			if now := m.now(f); now > int64(m.ns)+1e6 || now < int64(m.ns)-1e6 {
				t.Errorf("the clock says %d, the system's %d", now, int64(m.ns))
			}
		})
	}
}

func TestASleepIsSleptThrough(t *testing.T) {
	m := &machine{cycles: 1 << 40, each: 0.4}
	f := following(m)
	for range 3000 {
		m.pass(time.Millisecond)
		m.now(f)
	}
	m.cycles += 1e14 // half a day that the system's clock does not count
	for range 3000 {
		m.pass(time.Millisecond)
		if now := m.now(f); now > int64(m.ns)+1e6 || now < int64(m.ns)-1e6 {
			t.Fatalf("the clock says %d, the system's %d", now, int64(m.ns))
		}
	}
	if f.rate.Load() == nil {
		t.Error("the counter is not used any more")
	}
}

// Whatever Now reads, it says what the system's clock does, and no goroutine sees it go back.
func TestNow(t *testing.T) {
	UseCounter()
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			last := Now()
			for began := system(); system()-began < 1.3e9; {
				before := system()
				now := Now()
				after := system()
				if now < last {
					t.Errorf("from %d to %d", last, now)
					return
				}
				if slack := int64(1e6); now < before-slack || now > after+slack {
					t.Errorf("%d is not between %d and %d", now, before, after)
					return
				}
				last = now
			}
		})
	}
	wg.Wait()
	if hasCounter() && counter.rate.Load() == nil {
		t.Error("the counter was not used")
	}
}

func BenchmarkNow(b *testing.B) {
	UseCounter()
	for b.Loop() {
		Now()
	}
}
