package digestauth

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"math"
	"sync"
	"time"

	"github.com/pergola-mesh/pergola/internal/clock"
)

const (
	// lifetime is how long a nonce is good for.
	lifetime = 5 * time.Minute
	// mostUsed bounds how many used nonces are remembered, in each of two generations.
	mostUsed = 16384
)

// The outcomes of using a nonce.
const (
	unknown = iota // not ours, or used with this count before
	old            // ours, but too old
	fresh
)

// nonces makes nonces and sees to it that each is used once with each count. A nonce says itself when
// it was made, under a signature; only those used with good credentials are remembered, until they
// are too old. Safe for concurrent use.
type nonces struct {
	key [32]byte

	mu      sync.Mutex
	young   map[string]*window
	elder   map[string]*window
	rotated int64 // when the generations changed
	floor   int64 // older nonces are not remembered any more
}

// window remembers which counts were used: the highest, and of the 64 below it which.
type window struct {
	top  uint32
	seen uint64 // bit i is top-i
}

func newNonces() *nonces {
	n := &nonces{young: map[string]*window{}, rotated: clock.Now(), floor: math.MinInt64}
	rand.Read(n.key[:]) // never fails
	return n
}

// issue makes a nonce: the time, something random, and the signature of both.
func (n *nonces) issue() string {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, 32), uint64(clock.Now()))
	b = b[:16]
	rand.Read(b[8:])
	return base64.RawURLEncoding.EncodeToString(append(b, n.sign(b)...))
}

func (n *nonces) sign(b []byte) []byte {
	mac := hmac.New(sha256.New, n.key[:])
	mac.Write(b)
	return mac.Sum(nil)[:16]
}

// use says whether a nonce may be used with a count, and uses it.
func (n *nonces) use(nonce string, count uint32) int {
	b, err := base64.RawURLEncoding.Strict().DecodeString(nonce)
	if err != nil || len(b) != 32 || !hmac.Equal(n.sign(b[:16]), b[16:]) {
		return unknown
	}
	made, now := int64(binary.BigEndian.Uint64(b)), clock.Now()
	n.mu.Lock()
	defer n.mu.Unlock()
	if now-made > int64(lifetime) || made < n.floor {
		return old
	}
	n.rotate(now)
	w := n.young[nonce]
	if w == nil {
		w = n.elder[nonce]
	}
	if w == nil {
		w = &window{}
		n.young[nonce] = w
	}
	if !w.use(count) {
		return unknown
	}
	return fresh
}

// rotate forgets the elder generation once all its nonces are too old. Is the younger one full before
// its time, everything is forgotten, and what was made until now is too old.
func (n *nonces) rotate(now int64) {
	switch {
	case now-n.rotated > int64(lifetime):
		n.young, n.elder, n.rotated = map[string]*window{}, n.young, now
	case len(n.young) >= mostUsed:
		n.young, n.elder, n.rotated, n.floor = map[string]*window{}, nil, now, now
	}
}

// use notes a count; false when it was used, or may have been. Clients send several requests at a
// time, so counts come a little out of order.
func (w *window) use(count uint32) bool {
	switch {
	case count == 0:
		return false
	case count > w.top:
		w.seen = w.seen<<(count-w.top) | 1 // a shift by 64 and more is 0
		w.top = count
		return true
	case w.top-count >= 64 || w.seen>>(w.top-count)&1 == 1:
		return false
	}
	w.seen |= 1 << (w.top - count)
	return true
}
