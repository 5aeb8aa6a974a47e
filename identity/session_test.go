package identity

import (
	"crypto/tls"
	"errors"
	"testing"

	"github.com/pergola-mesh/pergola/config/dynamic"
	"github.com/pergola-mesh/pergola/internal/certtest"
)

// Hardening 30: whatever name the handshake was for, requests are admitted for hosts of the same policy,
// by any spelling.
func TestAdmit(t *testing.T) {
	ca := certtest.NewAuthority("ca")
	s := &Store{}
	open, closed := policy(t, s, "open", dynamic.TLSOptions{}), policy(t, s, "closed", mutual(""), ca.PEM())
	refused := Refusal("", errors.New("in dispute"))
	edge := bound(open, map[string]*Policy{"a.example": open, "m.example": closed, "*.m.example": closed, "**.deep.example": closed,
		"x.deep.example": open, "*": closed, "disputed.example": refused})
	client := ca.Issue([]string{"client"})
	for name, hosts := range map[string]map[string]bool{
		"a.example": {
			"a.example": true, "A.EXAMPLE": true, "a.example.": true, "b.example": true, "": true, "x.deep.example": true, "deep.example": true,
			"m.example": false, "M.Example": false, "m.example.": false, "M.EXAMPLE.": false, "x.m.example": false, "X.m.example.": false,
			"y.deep.example": false, "x.y.deep.example": false, "y.x.deep.example": false, "localhost": false, "disputed.example": false,
			"x.y.m.example": true, "m.example/": false, "m.example\x00": false, "m.example..": true, "m.éxample": false,
		},
		"m.example": {"m.example": true, "x.m.example": true, "localhost": true, "a.example": false, "": false, "b.example": false, "disputed.example": false},
		"":          {"a.example": true, "m.example": false},
	} {
		o := shake(t, at(s, edge), &tls.Config{ServerName: name, InsecureSkipVerify: true, Certificates: []tls.Certificate{client}})
		if o.serverErr != nil {
			t.Fatalf("%q: %v", name, o.serverErr)
		}
		for host, want := range hosts {
			for range 2 { // once judged, once remembered
				if got := o.session.Admit(edge, &o.server, []byte(host)); (got != nil) != want {
					t.Errorf("SNI %q, host %q: %v, want %t", name, host, got, want)
				}
			}
		}
	}
}

// A connection lives through a reload if it could have been made under what is in force after it.
func TestAdmitAfterReload(t *testing.T) {
	one, two := certtest.NewAuthority("one"), certtest.NewAuthority("two")
	s := &Store{}
	for name, c := range map[string]struct {
		before, after *Policy
		want          bool
	}{
		"the same":             {policy(t, s, "p", dynamic.TLSOptions{}), policy(t, s, "p", dynamic.TLSOptions{}), true},
		"another name":         {policy(t, s, "p", dynamic.TLSOptions{}), policy(t, s, "q", dynamic.TLSOptions{}), false},
		"refused now":          {policy(t, s, "p", dynamic.TLSOptions{}), Refusal("p", errors.New("broken")), false},
		"clients are verified": {policy(t, s, "p", dynamic.TLSOptions{}), policy(t, s, "p", mutual(""), one.PEM()), false},
		"if they have one":     {policy(t, s, "p", dynamic.TLSOptions{}), policy(t, s, "p", mutual("VerifyClientCertIfGiven"), one.PEM()), true},
		"the same authority":   {policy(t, s, "p", mutual(""), one.PEM()), policy(t, s, "p", mutual(""), one.PEM()), true},
		"one more authority":   {policy(t, s, "p", mutual(""), one.PEM()), policy(t, s, "p", mutual(""), two.PEM(), one.PEM()), true},
		"another authority":    {policy(t, s, "p", mutual(""), one.PEM()), policy(t, s, "p", mutual(""), two.PEM()), false},
		"verified at last":     {policy(t, s, "p", mutual("RequireAnyClientCert"), one.PEM()), policy(t, s, "p", mutual(""), two.PEM()), false},
		"a lower maximum":      {policy(t, s, "p", dynamic.TLSOptions{}), policy(t, s, "p", dynamic.TLSOptions{MaxVersion: "VersionTLS12"}), false},
		"a higher minimum": {policy(t, s, "p", dynamic.TLSOptions{MaxVersion: "VersionTLS12"}),
			policy(t, s, "p", dynamic.TLSOptions{MinVersion: "VersionTLS13"}), false},
		"other suites": {policy(t, s, "p", dynamic.TLSOptions{MaxVersion: "VersionTLS12"}),
			policy(t, s, "p", dynamic.TLSOptions{CipherSuites: []string{"TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256"}}), false},
	} {
		t.Run(name, func(t *testing.T) {
			edge := bound(c.before, nil)
			o := shake(t, at(s, edge), &tls.Config{ServerName: "a.example", InsecureSkipVerify: true,
				Certificates: []tls.Certificate{one.Issue([]string{"client"})}})
			if o.session.Admit(edge, &o.server, []byte("a.example")) == nil {
				t.Fatalf("not admitted before: %v", o.serverErr)
			}
			after := bound(c.after, nil)
			for range 2 {
				if got := o.session.Admit(after, &o.server, []byte("a.example")); (got != nil) != c.want || got != nil && got != c.after {
					t.Errorf("%v, want %t", got, c.want)
				}
			}
		})
	}
}

// A connection that nobody made a session for is admitted nowhere.
func TestNoSession(t *testing.T) {
	edge := bound(policy(t, &Store{}, "p", dynamic.TLSOptions{}), nil)
	for _, s := range []*Session{nil, {}} {
		if s.Admit(edge, &tls.ConnectionState{}, []byte("a.example")) != nil {
			t.Error("admitted")
		}
	}
}

func TestAdmittingAllocatesNothing(t *testing.T) {
	s := &Store{}
	edge := bound(policy(t, s, "p", dynamic.TLSOptions{}), nil)
	o := shake(t, at(s, edge), &tls.Config{ServerName: "a.example", InsecureSkipVerify: true})
	host := []byte("a.example")
	if n := testing.AllocsPerRun(100, func() { o.session.Admit(edge, &o.server, host) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkAdmit(b *testing.B) {
	s := &Store{}
	edge := bound(policy(b, s, "p", dynamic.TLSOptions{}), nil)
	o := shake(b, at(s, edge), &tls.Config{ServerName: "a.example", InsecureSkipVerify: true})
	host := []byte("a.example")
	b.ReportAllocs()
	for b.Loop() {
		o.session.Admit(edge, &o.server, host)
	}
}
