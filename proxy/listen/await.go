package listen

import (
	"context"
	"time"
)

// Await returns once done reports true, or ctx ends: how a server waits for the last of its connections.
// The error is ctx's.
func Await(ctx context.Context, done func() bool) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
	return nil
}
