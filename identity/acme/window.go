package acme

import (
	"context"
	"crypto/x509"
	"errors"
	"time"
)

// askAgain is when an authority is asked again that gave no time, or no answer.
const askAgain = 6 * time.Hour

// askWindows says whether it is time to ask the authority about a certificate in use.
func (r *resolver) askWindows(p *plan) bool {
	now := time.Now()
	for _, c := range p.use {
		if c.of(r.config.caServer) && !c.expired(now) && !now.Before(r.windows[c].ask) {
			return r.data.Account != nil
		}
	}
	return false
}

// window asks the authority when it would like the certificates in use renewed. Nothing fails for want
// of an answer: the certificate's life is then what counts.
func (r *resolver) window(ctx context.Context, p *plan) {
	now := time.Now()
	for _, c := range p.use {
		if !c.of(r.config.caServer) || c.expired(now) || now.Before(r.windows[c].ask) {
			continue
		}
		w, err := r.authority.Window(ctx, r.data.Account, c.leaf)
		if err != nil {
			if !errors.Is(err, errNoWindow) {
				r.logger.Debug("no renewal information", "names", c.names, "error", err)
			}
			w = window{start: r.windows[c].start, end: r.windows[c].end}
		}
		if w.ask.Before(now.Add(time.Minute)) {
			w.ask = now.Add(askAgain)
		}
		r.windows[c] = w
		if ctx.Err() != nil {
			return
		}
	}
}

// leaf is the certificate that a job replaces, for the authority to know: nil unless it has said when to
// renew it.
func (j *job) leaf(r *resolver) *x509.Certificate {
	if j.replaces == nil || r.windows[j.replaces].start.IsZero() {
		return nil
	}
	return j.replaces.leaf
}
