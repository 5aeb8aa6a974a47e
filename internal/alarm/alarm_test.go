package alarm

import (
	"math"
	"testing"
	"testing/synctest"
	"time"
)

// tellsAsSet checks an alarm of either kind. What it asserts of the time is that nothing came too early.
func tellsAsSet(t *testing.T, a Alarm) {
	t.Helper()
	began := time.Now()
	a.Set(math.MaxInt64, 0)
	for _, past := range []time.Duration{0, -time.Second, math.MinInt64} {
		a.Set(past, 0)
		<-a.C
	}
	a.Set(30*time.Millisecond, 0)
	<-a.C
	if lasted := time.Since(began); lasted < 30*time.Millisecond {
		t.Errorf("an alarm of 30 ms came after %v", lasted)
	}
	began = time.Now()
	a.Set(10*time.Millisecond, 10*time.Millisecond)
	for range 5 {
		<-a.C
	}
	if lasted := time.Since(began); lasted < 40*time.Millisecond {
		t.Errorf("five times every 10 ms came within %v", lasted)
	}
	a.Set(time.Hour, 0)
	came := 0
	for over := time.After(100 * time.Millisecond); over != nil; {
		select {
		case <-a.C:
			came++
		case <-over:
			over = nil
		}
	}
	if came > 2 { // one that was told already, and one that was about to be
		t.Errorf("the alarm came %d times more after it was set to another time", came)
	}
}

func TestAlarmOfTheRuntime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := New(time.Hour, 0)
		defer a.Stop()
		tellsAsSet(t, a)
		a.Set(time.Hour, time.Minute)
		began := time.Now()
		for range 3 {
			<-a.C
		}
		if lasted := time.Since(began); lasted != time.Hour+2*time.Minute {
			t.Errorf("after an hour, and then every minute: the third came after %v", lasted)
		}
	})
}

func TestAlarmThatNobodyHearsIsToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := New(time.Second, time.Second)
		defer a.Stop()
		time.Sleep(5 * time.Second)
		synctest.Wait()
		<-a.C
		select {
		case <-a.C:
			t.Error("it was told twice")
		default:
		}
	})
}

func TestStoppedAlarm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := New(time.Second, time.Second)
		a.Stop()
		time.Sleep(5 * time.Second)
		select {
		case <-a.C:
			t.Error("it came after Stop")
		default:
		}
	})
}
