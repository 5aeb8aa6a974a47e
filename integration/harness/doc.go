//go:build linux

// Package harness starts the gateway's binary, and servers for it to stand before, in black-box tests.
//
// Everything it starts ends with the test that asked for it, and what the gateway logged is shown when the
// test has failed. Nothing waits for a fixed time: see [Eventually].
package harness

import (
	"testing"
	"time"
)

// Patience bounds every wait for something that ought to happen soon.
const Patience = 15 * time.Second

// Eventually polls until done says true, and fails the test when that takes longer than Patience.
func Eventually(t testing.TB, what string, done func() bool) {
	t.Helper()
	EventuallyIn(t, Patience, what, done)
}

// EventuallyIn is Eventually for what may take longer than Patience, or must not.
func EventuallyIn(t testing.TB, limit time.Duration, what string, done func() bool) {
	t.Helper()
	deadline := time.After(limit)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("waited %s for %s", limit, what)
		}
	}
}

// Within fails the test unless the channel yields, or is closed, before Patience is over.
func Within[T any](t testing.TB, what string, channel <-chan T) (value T) {
	t.Helper()
	select {
	case value = <-channel:
	case <-time.After(Patience):
		t.Fatalf("%s: not within %s", what, Patience)
	}
	return value
}
