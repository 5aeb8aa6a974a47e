package h3

import (
	"context"
	"testing"
	"time"
)

// TestDrainAwaitsTheFirstRequest: a client that has connected and not asked yet gets to, though it was told
// to ask for nothing more a while ago.
func TestDrainAwaitsTheFirstRequest(t *testing.T) {
	t.Parallel()
	s := start(t, echo)
	r := s.raw()
	told := r.goAways()
	drained := make(chan error, 1)
	go func() { drained <- s.Drain(context.Background()) }()
	within(t, "GOAWAY", told)
	select {
	case id := <-told:
		t.Errorf("a last GOAWAY of %d before the first request", id)
	case <-time.After(drainStep + drainStep/2):
	}
	if _, _, err := answer(t, r.ask(get())); err != nil {
		t.Errorf("the first request: %v", err)
	}
	if id := within(t, "the last GOAWAY", told); id != streamIDStep {
		t.Errorf("last GOAWAY of %d", id)
	}
	if code := r.closed(); code != codeNoError {
		t.Errorf("closed with %#x", uint64(code))
	}
	if err := within(t, "Drain", drained); err != nil {
		t.Error(err)
	}
}
