package probe_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pergola-mesh/pergola/internal/probe"
)

func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		loop := probe.Loop{Interval: 10 * time.Second, UnhealthyInterval: 2 * time.Second, Timeout: time.Second}
		ctx, cancel := context.WithCancel(context.Background())
		sick := errors.New("sick")
		start, last := time.Now(), time.Time{}
		answers := []error{nil, sick, context.DeadlineExceeded, nil}
		pauses := []time.Duration{10 * time.Second, 2*time.Second + loop.Timeout, 2 * time.Second}
		n := 0
		loop.Run(ctx, func(ctx context.Context) error {
			if answers[n] == context.DeadlineExceeded {
				<-ctx.Done()
				return ctx.Err()
			}
			return answers[n]
		}, func(err error) {
			now := time.Now()
			switch {
			case !errors.Is(err, answers[n]):
				t.Errorf("probe %d: %v", n, err)
			case n == 0 && now.Sub(start) > time.Second:
				t.Errorf("the first came after %v", now.Sub(start))
			case n > 0:
				if got, want := now.Sub(last), pauses[n-1]; got < want*94/100 || got > want*106/100+loop.Timeout {
					t.Errorf("probe %d came after %v, not %v", n, got, want)
				}
			}
			last = now
			if n++; n == len(answers) {
				cancel()
			}
		})
		if n != len(answers) {
			t.Errorf("%d probes", n)
		}
	})
}
