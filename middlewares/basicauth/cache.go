package basicauth

import (
	"crypto/rand"
	"crypto/sha256"
	"sync"
)

// cacheSize bounds how many verified credentials are remembered, in each of two generations.
const cacheSize = 512

// cache remembers which credentials were good, by a hash under a key that only this process knows:
// hashing a password as htpasswd does takes longer than the rest of the gateway's work by far. What
// was not good is not remembered.
type cache struct {
	secret [32]byte

	mu         sync.RWMutex
	young, old map[digest]*user
}

type digest [sha256.Size]byte

func newCache() *cache {
	c := &cache{young: map[digest]*user{}}
	rand.Read(c.secret[:]) // never fails
	return c
}

// key is what credentials are remembered by.
func (c *cache) key(credentials []byte) digest {
	var buf [len(c.secret) + maxCredentials]byte
	n := copy(buf[:], c.secret[:])
	n += copy(buf[n:], credentials)
	return sha256.Sum256(buf[:n])
}

func (c *cache) get(k digest) *user {
	c.mu.RLock()
	u, young := c.young[k]
	if !young {
		u = c.old[k]
	}
	c.mu.RUnlock()
	if u != nil && !young {
		c.put(k, u) // so that what is in use outlives the generation
	}
	return u
}

func (c *cache) put(k digest, u *user) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.young) >= cacheSize {
		c.young, c.old = make(map[digest]*user, cacheSize), c.young
	}
	c.young[k] = u
}
