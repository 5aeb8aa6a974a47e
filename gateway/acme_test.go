package gateway

import (
	"context"
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/pergola-mesh/pergola/config/static"
	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/exchange/exchangetest"
)

func TestChallengeRouters(t *testing.T) {
	point := func(address string, change func(*static.EntryPoint)) *static.EntryPoint {
		e := &static.EntryPoint{}
		e.SetDefaults()
		e.Address = address
		if change != nil {
			change(e)
		}
		return e
	}
	c := &static.Configuration{
		EntryPoints: map[string]*static.EntryPoint{
			"web": point(":80", nil), "alt": point(":81", nil), "dns": point(":53/udp", nil), "traefik": point(":8080", nil),
			"bypass": point(":82", func(e *static.EntryPoint) { e.AllowACMEByPass = true }),
			"secure": point(":443", func(e *static.EntryPoint) { e.HTTP.TLS = &static.TLS{} }),
		},
		CertificatesResolvers: map[string]*static.CertificateResolver{"a": {ACME: &static.ACME{TLSChallenge: &static.TLSChallenge{}}}},
	}
	if got := challengeRouters(c); len(got) != 0 {
		t.Errorf("without httpChallenge: %v", got)
	}
	c.CertificatesResolvers["b"] = &static.CertificateResolver{ACME: &static.ACME{HTTPChallenge: &static.HTTPChallenge{EntryPoint: "web"}}}
	got := challengeRouters(c)
	if r := got["acme-http"]; !slices.Equal(r.EntryPoints, []string{"alt", "web"}) || r.Priority != math.MaxInt {
		t.Errorf("acme-http is %+v", r)
	}
	if r := got["acme-http-bypass"]; !slices.Equal(r.EntryPoints, []string{"bypass"}) || r.Priority != 0 {
		t.Errorf("acme-http-bypass is %+v", r)
	}
}

func TestChallenges(t *testing.T) {
	h := &Challenges{Answer: func(_ context.Context, host, token string) (string, bool) {
		return token + ".thumb", host == "a.example"
	}}
	for _, test := range []struct {
		method, host, path string
		want               int
	}{
		{"GET", "a.example", "/.well-known/acme-challenge/token", 200},
		{"GET", "a.example:8080", "/.well-known/acme-challenge/token", 200},
		{"GET", "b.example", "/.well-known/acme-challenge/token", 404},
		{"POST", "a.example", "/.well-known/acme-challenge/token", 404},
		{"GET", "a.example", "/other", 404},
	} {
		r := exchangetest.Do(h, exchangetest.Request(test.method, test.path, "Host: "+test.host))
		if errors.Is(r.Err, exchange.NotFound) {
			r.Status = 404
		}
		if r.Status != test.want || test.want == 200 && r.Body != "token.thumb" {
			t.Errorf("%s %s%s: %d %q", test.method, test.host, test.path, r.Status, r.Body)
		}
	}
}
