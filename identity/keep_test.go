package identity

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/ocsp"

	"github.com/pergola-mesh/pergola/config/dynamic"
	"github.com/pergola-mesh/pergola/internal/certtest"
	"github.com/pergola-mesh/pergola/internal/waittest"
)

// responder answers questions about an authority's certificates. It is safe for concurrent use.
type responder struct {
	ca *certtest.Authority

	mu     sync.Mutex
	status int
	life   time.Duration
	broken bool
	asked  int
}

func (r *responder) set(status int, broken bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status, r.broken = status, broken
}

func (r *responder) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.asked
}

func (r *responder) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked++
	body, _ := io.ReadAll(request.Body)
	question, err := ocsp.ParseRequest(body)
	if err != nil || r.broken {
		http.Error(w, "broken", http.StatusInternalServerError)
		return
	}
	answer, err := ocsp.CreateResponse(r.ca.Certificate, r.ca.Certificate, ocsp.Response{
		Status: r.status, SerialNumber: question.SerialNumber, ThisUpdate: time.Now(), NextUpdate: time.Now().Add(r.life),
		RevokedAt: time.Now().Add(-time.Hour),
	}, r.ca.Key)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Write(answer)
}

// RoundTrip lets a client ask without a network.
func (r *responder) RoundTrip(request *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	r.ServeHTTP(w, request)
	return w.Result(), nil
}

// from names a responder in a certificate, which lives for a year.
func from(url string) func(*x509.Certificate) {
	return func(c *x509.Certificate) {
		c.OCSPServer, c.NotAfter = []string{url}, time.Now().AddDate(1, 0, 0)
	}
}

func mustStaple(c *x509.Certificate) {
	value, _ := asn1.Marshal([]int{5})
	c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 24}, Value: value})
}

// staple is the status that a client is shown with a certificate; -1 for none.
func staple(t *testing.T, s *Store, ca *certtest.Authority, name string) int {
	t.Helper()
	o := shake(t, at(s, bound(policy(t, s, "p", dynamic.TLSOptions{}), nil)), &tls.Config{ServerName: name, InsecureSkipVerify: true})
	if o.clientErr != nil {
		t.Fatal(o.clientErr)
	}
	if len(o.client.OCSPResponse) == 0 {
		return -1
	}
	answer, err := ocsp.ParseResponseForCert(o.client.OCSPResponse, o.client.PeerCertificates[0], ca.Certificate)
	if err != nil {
		t.Fatal(err)
	}
	return answer.Status
}

// keep has a store's certificates looked after until the test ends.
func keep(t *testing.T, s *Store, o KeepOptions) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Keep(ctx, o)
	}()
	return func() {
		cancel()
		<-done
	}
}

// An answer is fetched over HTTP, by the responder that is named instead of the certificate's.
func TestStapleFromAResponder(t *testing.T) {
	ca := certtest.NewAuthority("ca")
	r := &responder{ca: ca, life: time.Hour}
	server := httptest.NewServer(r)
	defer server.Close()
	s := &Store{}
	c := certificate(t, ca.Issue([]string{"a.example"}, from("http://responder.invalid")))
	s.Use(&Configured{Certificates: []*Certificate{c}})
	if got := staple(t, s, ca, "a.example"); got != -1 {
		t.Fatalf("status %d is shown that nobody asked for", got)
	}
	defer keep(t, s, KeepOptions{Staple: true, Overrides: map[string]string{"http://responder.invalid": server.URL}, Logger: slog.New(slog.DiscardHandler)})()
	waittest.Until(t, "an answer is shown", func() bool { return staple(t, s, ca, "a.example") == ocsp.Good })
}

// A responder that never answers keeps no other certificate from its answer, be it new or had already.
func TestStaplesDoNotWaitForASlowResponder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := certtest.NewAuthority("ca")
		r := &responder{ca: ca, life: time.Hour}
		transport := roundTripper(func(request *http.Request) (*http.Response, error) {
			if request.URL.Host == "slow.invalid" {
				<-request.Context().Done()
				return nil, request.Context().Err()
			}
			return r.RoundTrip(request)
		})
		s := &Store{}
		var slow []*Certificate
		for range askAtOnce + 1 {
			slow = append(slow, certificate(t, ca.Issue([]string{"slow.example"}, from("http://slow.invalid"))))
		}
		pair := ca.Issue([]string{"a.example"}, from("http://good.invalid"), mustStaple)
		first := []*Certificate{certificate(t, pair), slow[0]}
		s.Use(&Configured{Certificates: first})
		defer keep(t, s, KeepOptions{Staple: true, Client: &http.Client{Transport: transport}, Logger: slog.New(slog.DiscardHandler)})()
		synctest.Wait()
		if first[0].lacksStaple() {
			t.Error("the answer waits for that of another responder")
		}
		time.Sleep(askTime)
		synctest.Wait()
		again := certificate(t, pair) // as when its files are written anew
		s.Use(&Configured{Certificates: append(slow[1:], again)})
		synctest.Wait()
		if again.lacksStaple() {
			t.Error("the answer that is there is not shown with the same certificate, read again")
		}
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(request *http.Request) (*http.Response, error) { return f(request) }

// Answers are renewed at half their life, outlive a responder that fails until their end, and are kept when
// the configuration is another.
func TestStaplesAreRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := certtest.NewAuthority("ca")
		r := &responder{ca: ca, life: 10 * time.Hour}
		s := &Store{}
		pair := ca.Issue([]string{"a.example"}, from("http://r"))
		s.Use(&Configured{Certificates: []*Certificate{certificate(t, pair)}})
		defer keep(t, s, KeepOptions{Staple: true, Client: &http.Client{Transport: r}, Logger: slog.New(slog.DiscardHandler)})()
		check := func(what string, asked, status int) {
			t.Helper()
			synctest.Wait()
			if got := r.count(); asked >= 0 && got != asked {
				t.Errorf("%s: asked %d times, want %d", what, got, asked)
			}
			if got := staple(t, s, ca, "a.example"); got != status {
				t.Errorf("%s: status %d is shown, want %d", what, got, status)
			}
		}
		check("at first", 1, ocsp.Good)
		s.Use(&Configured{Certificates: []*Certificate{certificate(t, pair)}})
		check("the configuration is another", 1, ocsp.Good)
		time.Sleep(5*time.Hour - time.Minute)
		check("before half its life", 1, ocsp.Good)
		time.Sleep(2 * time.Minute)
		check("after half its life", 2, ocsp.Good)
		r.set(ocsp.Good, true)
		time.Sleep(9 * time.Hour)
		check("the responder fails", -1, ocsp.Good)
		if n := r.count(); n < 5 || n > 30 {
			t.Errorf("asked %d times", n)
		}
		time.Sleep(61 * time.Minute)
		check("the answer has ended", -1, -1)
		r.set(ocsp.Good, false)
		time.Sleep(2 * time.Hour)
		check("it is well again", -1, ocsp.Good)
		r.set(ocsp.Revoked, false)
		time.Sleep(6 * time.Hour)
		check("revoked", -1, -1)
		r.set(ocsp.Unknown, false)
		time.Sleep(6 * time.Hour)
		check("unknown", -1, -1)
	})
}

// A certificate that is no good without an answer gets one though stapling is off, and stands behind
// others as long as it has none.
func TestMustStaple(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := certtest.NewAuthority("ca")
		r := &responder{ca: ca, life: 10 * time.Hour, broken: true}
		s := &Store{}
		plain := ca.IssueRSA([]string{"a.example"}, from("http://r"))
		s.Use(&Configured{Certificates: []*Certificate{
			certificate(t, ca.Issue([]string{"a.example"}, from("http://r"), mustStaple)), certificate(t, plain)}})
		var log bytes.Buffer
		defer keep(t, s, KeepOptions{Client: &http.Client{Transport: r}, Logger: slog.New(slog.NewTextHandler(&log, nil))})()
		synctest.Wait()
		shown := func() bool {
			o := shake(t, at(s, bound(policy(t, s, "p", dynamic.TLSOptions{}), nil)), &tls.Config{ServerName: "a.example", InsecureSkipVerify: true})
			return o.client.PeerCertificates[0].Equal(plain.Leaf)
		}
		if !shown() || r.count() != 1 || !strings.Contains(log.String(), "level=ERROR") {
			t.Errorf("asked %d times, log %s", r.count(), &log)
		}
		r.set(ocsp.Good, false)
		time.Sleep(3 * time.Minute)
		synctest.Wait()
		if shown() || staple(t, s, ca, "a.example") != ocsp.Good {
			t.Error("it is not shown with its answer")
		}
	})
}

// Certificates that end are spoken of once a day.
func TestExpiryIsToldOf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := certtest.NewAuthority("ca")
		s := &Store{}
		ends := func(days int) func(*x509.Certificate) {
			return func(c *x509.Certificate) {
				c.NotBefore, c.NotAfter = time.Now().AddDate(0, 0, -30), time.Now().AddDate(0, 0, days)
			}
		}
		s.Use(&Configured{Certificates: []*Certificate{
			certificate(t, ca.Issue([]string{"long.example"}, ends(60))), certificate(t, ca.Issue([]string{"soon.example"}, ends(3)))}})
		var log bytes.Buffer
		stop := keep(t, s, KeepOptions{Logger: slog.New(slog.NewTextHandler(&log, nil))})
		time.Sleep(80 * time.Hour)
		synctest.Wait()
		stop()
		if n := strings.Count(log.String(), "expires soon"); n != 3 || strings.Count(log.String(), "has expired") != 1 || strings.Contains(log.String(), "long.example") {
			t.Errorf("told %d times:\n%s", n, &log)
		}
	})
}
