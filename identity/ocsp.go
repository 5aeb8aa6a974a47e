package identity

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"golang.org/x/crypto/ocsp"
)

const (
	// maxAnswer is the longest answer of a responder that is read, in bytes.
	maxAnswer = 1 << 20
	// askTime is how long a responder may take.
	askTime = 10 * time.Second
	// soonest and latest bound the time between two questions about a certificate.
	soonest, latest = time.Minute, 12 * time.Hour
	// skew is by how much a responder's clock may be ahead.
	skew = 5 * time.Minute
)

// answer is what a responder says of a certificate, and when it is asked again.
type answer struct {
	staple   []byte // nil when there is none that can be shown
	until    time.Time
	next     time.Time
	failures int
}

// ocspServer is who answers for a certificate; empty when nobody does.
func ocspServer(leaf *x509.Certificate, overrides map[string]string) string {
	if len(leaf.OCSPServer) == 0 {
		return ""
	}
	first := leaf.OCSPServer[0]
	if other := overrides[first]; other != "" {
		return other
	}
	return first
}

// ask asks a responder about a certificate. RFC 6960, Appendix A.
func ask(ctx context.Context, client *http.Client, server string, leaf, issuer *x509.Certificate) (*ocsp.Response, []byte, error) {
	question, err := ocsp.CreateRequest(leaf, issuer, nil)
	if err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, server, bytes.NewReader(question))
	if err != nil {
		return nil, nil, err
	}
	request.Header.Set("Content-Type", "application/ocsp-request")
	response, err := client.Do(request)
	if err != nil {
		return nil, nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s answers %s", server, response.Status)
	}
	if err != nil {
		return nil, nil, err
	}
	said, err := ocsp.ParseResponseForCert(body, leaf, issuer)
	if err != nil {
		return nil, nil, err
	}
	now := time.Now()
	switch {
	case said.ThisUpdate.After(now.Add(skew)):
		return nil, nil, fmt.Errorf("the answer is of the future: %s", said.ThisUpdate)
	case !said.NextUpdate.IsZero() && !said.NextUpdate.After(now):
		return nil, nil, fmt.Errorf("the answer is out of date since %s", said.NextUpdate)
	case said.Status == ocsp.Unknown:
		return nil, nil, errors.New("the responder does not know the certificate")
	}
	return said, body, nil
}

// take makes an answer of what a responder said, to be asked again at half its life.
func (a *answer) take(said *ocsp.Response, staple []byte) {
	now := time.Now()
	*a = answer{until: said.NextUpdate, next: now.Add(latest)}
	if said.Status == ocsp.Good {
		a.staple = staple
	}
	if !said.NextUpdate.IsZero() {
		half := said.ThisUpdate.Add(said.NextUpdate.Sub(said.ThisUpdate) / 2)
		a.next = now.Add(min(max(half.Sub(now), soonest), latest))
	} else {
		a.until = now.Add(2 * latest)
	}
}

// expire drops the answer at its end.
func (a *answer) expire() {
	if !a.until.After(time.Now()) {
		a.staple = nil
	}
}

// fail puts the next question off, further each time. An answer is shown until its end.
func (a *answer) fail() {
	now := time.Now()
	a.next = now.Add(min(soonest<<min(a.failures, 6), latest))
	a.failures++
	if a.staple != nil && a.next.After(a.until) {
		a.next = a.until // when it must no longer be shown
	}
	if !a.until.After(now) {
		a.next = now.Add(min(soonest<<min(a.failures, 6), latest))
		a.expire()
	}
}

// asksForStaple reports whether a certificate says that it is good only with an OCSP answer. RFC 7633.
func asksForStaple(leaf *x509.Certificate) bool {
	for _, e := range leaf.Extensions {
		if !e.Id.Equal(asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 24}) {
			continue
		}
		var features []int
		_, err := asn1.Unmarshal(e.Value, &features)
		return err == nil && slices.Contains(features, 5) // status_request
	}
	return false
}

// staple makes handshakes show an OCSP answer, or none.
func (c *Certificate) staple(answer []byte) {
	ready := c.ready.Load()
	if bytes.Equal(ready.OCSPStaple, answer) {
		return
	}
	next := *ready
	next.OCSPStaple = answer
	c.ready.Store(&next)
}

// lacksStaple reports whether clients will refuse the certificate for want of an OCSP answer.
func (c *Certificate) lacksStaple() bool { return c.mustStaple && len(c.ready.Load().OCSPStaple) == 0 }

// issuer is the second certificate of the chain; nil when there is none.
func (c *Certificate) issuer() *x509.Certificate {
	chain := c.ready.Load().Certificate
	if len(chain) < 2 {
		return nil
	}
	issuer, err := x509.ParseCertificate(chain[1])
	if err != nil {
		return nil
	}
	return issuer
}
