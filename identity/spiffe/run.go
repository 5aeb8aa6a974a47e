package spiffe

import (
	"context"
	"crypto/x509"
	"log/slog"
	"math/rand/v2"
	"time"
)

// Times of asking the agent again.
const (
	// firstPause doubles up to longPause while the agent cannot be heard.
	firstPause = 250 * time.Millisecond
	longPause  = 15 * time.Second
	// denialTime is how long an agent may deny that there is an identity before one that it gave on an earlier
	// connection is given up: an agent that has just started denies what it has yet to hear of from its server.
	denialTime = 30 * time.Second
	// sayAgain is how often the same failure is logged.
	sayAgain = 10 * time.Minute
)

// watcher is Run at work.
type watcher struct {
	*Source
	agent  *agent
	pause  time.Duration
	denied time.Time // since when the agent has denied that there is an identity; zero when it has not
	// soon and end are when the identity in force ends soon, and when it ends.
	soon, end *time.Timer
	said      string // the failure that was logged last
	saidAt    time.Time
}

// Run hears the agent until ctx ends. It is called once.
func (s *Source) Run(ctx context.Context) {
	w := &watcher{Source: s, agent: newAgent(s.options.Network, s.options.Address), pause: firstPause}
	defer w.agent.close()
	defer w.stopTimers()
	for ctx.Err() == nil {
		given := false
		err := w.agent.watch(ctx, func(m *material) {
			given = true
			w.heard(m)
		})
		if ctx.Err() != nil {
			return
		}
		unheard := w.denied.IsZero()
		if w.failed(err, given); unheard && !w.denied.IsZero() {
			w.pause = firstPause // the agent is there, and will soon have heard of us
		}
		select {
		case <-ctx.Done():
		case <-time.After(w.pause + rand.N(w.pause/2)):
			w.pause = min(2*w.pause, w.longest)
		}
	}
}

// heard takes an answer of the agent.
func (w *watcher) heard(m *material) {
	w.pause, w.denied, w.said = firstPause, time.Time{}, ""
	w.use(m)
	w.stopTimers()
	leaf := m.svid.Certificates[0]
	tell := func(level slog.Level, message string) func() {
		return func() {
			if now := w.current.Load(); now.material == m {
				w.options.Logger.Log(context.Background(), level, message,
					"id", m.svid.ID.String(), "notAfter", leaf.NotAfter, "workloadAPIAddr", w.place(), "error", now.err, "remedy", remedy)
			}
		}
	}
	w.soon = time.AfterFunc(time.Until(endsSoon(leaf)), tell(slog.LevelWarn, "The SPIFFE identity ends soon, and the agent has sent no other"))
	w.end = time.AfterFunc(time.Until(leaf.NotAfter), tell(slog.LevelError, "The SPIFFE identity has ended: servers that are known by SPIFFE cannot be reached"))
}

// endsSoon is when an identity is to be replaced at the latest: when a quarter of its life is left. Agents do it
// at half of that.
func endsSoon(c *x509.Certificate) time.Time {
	return c.NotAfter.Add(-c.NotAfter.Sub(c.NotBefore) / 4)
}

func (w *watcher) stopTimers() {
	if w.end != nil {
		w.soon.Stop()
		w.end.Stop()
	}
}

// failed notes that the agent is heard no more. An identity that it has taken back is given up; one that it
// is only not there to renew stays until its end. given is that it had sent one on the same stream.
func (w *watcher) failed(err error, given bool) {
	if !isDenial(err) {
		w.denied = time.Time{}
	} else if w.denied.IsZero() {
		w.denied = time.Now()
	}
	has := w.current.Load().material != nil
	if has && isDenial(err) && (given || time.Since(w.denied) >= denialTime) {
		w.forget(err)
		has = false
	} else {
		w.note(err)
	}
	if text := err.Error(); text != w.said || time.Since(w.saidAt) >= sayAgain {
		w.said, w.saidAt = text, time.Now()
		level, message := slog.LevelError, "No SPIFFE identity: servers that are known by SPIFFE cannot be reached"
		if has {
			level, message = slog.LevelWarn, "The SPIFFE agent is not heard: the identity that it gave is used until it ends"
		}
		w.options.Logger.Log(context.Background(), level, message, "workloadAPIAddr", w.place(), "error", err, "remedy", remedy)
	}
}
