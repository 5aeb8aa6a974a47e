package identity

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"sync"
	"time"
)

const (
	ticketRotation = 24 * time.Hour
	// ticketLife is the longest that a session can be resumed. RFC 8446 §4.6.1.
	ticketLife = 7 * ticketRotation
)

// tickets are the secrets behind session tickets, renewed daily. The zero value is ready.
type tickets struct {
	mu   sync.Mutex
	keys *ticketKeys
}

// ticketKeys are the secrets of one day, and of the days before whose tickets are still good. They are
// immutable.
type ticketKeys struct {
	made    time.Time
	secrets [][sha256.Size]byte // the newest first
}

// current returns the secrets in force.
func (t *tickets) current() *ticketKeys {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	if t.keys != nil && now.Sub(t.keys.made) < ticketRotation {
		return t.keys
	}
	next := &ticketKeys{made: now, secrets: make([][sha256.Size]byte, 1)}
	rand.Read(next.secrets[0][:])
	if t.keys != nil && now.Sub(t.keys.made) < ticketLife {
		old := t.keys.secrets
		next.secrets = append(next.secrets, old[:min(len(old), int(ticketLife/ticketRotation)-1)]...)
	}
	t.keys = next
	return next
}

// derive makes the ticket keys of one policy: a ticket that was given out under another, or under other
// authorities, is not even readable.
func (k *ticketKeys) derive(policy [sha256.Size]byte) [][32]byte {
	keys := make([][32]byte, len(k.secrets))
	for i, secret := range k.secrets {
		mac := hmac.New(sha256.New, secret[:])
		mac.Write(policy[:])
		mac.Sum(keys[i][:0])
	}
	return keys
}
