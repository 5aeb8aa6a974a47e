package storage

import (
	"sync"
	"time"
)

// memory keeps the answers to challenges. The zero value is ready.
type memory struct {
	mu      sync.RWMutex
	answers map[[2]string]answer
}

type answer struct {
	challenge Challenge
	end       time.Time
}

func (m *memory) put(c Challenge) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	if m.answers == nil {
		m.answers = map[[2]string]answer{}
	}
	for id, a := range m.answers {
		if now.After(a.end) {
			delete(m.answers, id)
		}
	}
	m.answers[[2]string{c.Kind, c.Key}] = answer{c, now.Add(ChallengeLife)}
	return nil
}

func (m *memory) get(kind, key string) (Challenge, bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	a, ok := m.answers[[2]string{kind, key}]
	if !ok || time.Now().After(a.end) {
		return Challenge{}, false
	}
	return a.challenge, true
}

func (m *memory) remove(c Challenge) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.answers, [2]string{c.Kind, c.Key})
	return nil
}
