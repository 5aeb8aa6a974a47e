package identity

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
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

// Tickets are the secrets behind session tickets, for the process that takes this one's place: sessions
// are resumed there as here. Who has them reads whatever was said in those sessions that had no key
// exchange of their own, so they go from memory to memory and never to a disk.
func (s *Store) Tickets() []byte {
	keys := s.tickets.current()
	b := binary.BigEndian.AppendUint64(nil, uint64(keys.made.Unix()))
	for _, secret := range keys.secrets {
		b = append(b, secret[:]...)
	}
	return b
}

// UseTickets puts what Tickets returned into force, in place of secrets of our own. Those of a process that
// cannot tell any are of another version: an error, and nothing has changed.
func (s *Store) UseTickets(b []byte) error {
	n := (len(b) - 8) / sha256.Size
	if n < 1 || n > int(ticketLife/ticketRotation) || len(b) != 8+n*sha256.Size {
		return fmt.Errorf("%d bytes are no secrets of session tickets", len(b))
	}
	keys := &ticketKeys{made: time.Unix(int64(binary.BigEndian.Uint64(b)), 0), secrets: make([][sha256.Size]byte, n)}
	if now := time.Now(); keys.made.After(now) {
		keys.made = now // the clock was set back
	}
	for i := range keys.secrets {
		copy(keys.secrets[i][:], b[8+i*sha256.Size:])
	}
	s.tickets.mu.Lock()
	defer s.tickets.mu.Unlock()
	s.tickets.keys = keys
	return nil
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
