// Package providers holds the contract between a source of dynamic configuration and the core.
package providers

import (
	"context"

	"github.com/pergola-mesh/pergola/config/dynamic"
)

// Provider watches one source of dynamic configuration.
//
// A good provider sends complete configurations only: when it cannot read its whole source it
// keeps quiet (what it sent last stays in force) rather than send a part. It isolates objects: one
// that does not decode becomes a Problem in the update, the rest is sent. It sends only when
// something changed, and keeps the pointers of objects that did not.
type Provider interface {
	// Name is the provider's name in "object@name". It is constant and unique.
	Name() string
	// Run sends the first update as soon as the source has been read, then one for every change,
	// until ctx ends; it then returns nil, having released all it holds and sent its last send.
	// An error means the provider cannot work at all (a bad setting); a source that is
	// unreachable for now is logged and retried instead. send never blocks for long and may be
	// called from one goroutine at a time.
	Run(ctx context.Context, send func(dynamic.Update)) error
}
