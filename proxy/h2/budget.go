package h2

import "github.com/pergola-mesh/pergola/internal/clock"

// budget bounds what a client may have us do that brings no request forward: resets, pings, settings,
// empty frames. Work that is done earns more, so that a busy client may do more of it; an idle one has
// what time brings. Who is over it attacks: RFC 9113 §10.5.
type budget struct {
	left int
	at   int64 // when time last brought some
}

const (
	maxBudget     = 1000
	budgetSeconds = 50 // a second brings so much

	// What things cost, and what they earn.
	costFrame   = 1   // a frame that carries nothing
	costReset   = 1   // a stream that the client takes back, or that is one too many
	costLarge   = 20  // a request over a limit, which was decoded in vain
	costFault   = 5   // a stream that we had to refuse or reset: CVE-2025-8671
	earnRequest = 3   // an answered request
	earnBytes   = 512 // so many bytes of a response earn 1: leave to send a little at a time does not pay
	earnFrame   = 2   // a frame of a server's data, and 1 for every 4 KiB of it
)

// spend reports whether n can be afforded.
func (b *budget) spend(n int) bool {
	if b.left -= n; b.left >= 0 {
		return true
	}
	now := clock.Now()
	if brought := (now - b.at) * budgetSeconds / 1e9; brought > 0 {
		b.left = min(b.left+int(min(brought, maxBudget)), maxBudget)
		b.at = now
	}
	return b.left >= 0
}

func (b *budget) earn(n int) { b.left = min(b.left+n, maxBudget) }
