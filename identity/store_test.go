package identity

import (
	"crypto/tls"
	"testing"

	"github.com/pergola-mesh/pergola/config/dynamic"
	"github.com/pergola-mesh/pergola/identity/identitytest"
)

func TestTheCertificateIsThatOfTheName(t *testing.T) {
	ca := identitytest.NewAuthority(t, "ca")
	s := &Store{}
	var all []*Certificate
	for _, names := range [][]string{
		{"a.example", "127.0.0.1"}, {"*.a.example"}, {"b.a.example"}, {"*.b.a.example"}, {"*.*.deep.example"}, {"Mixed.Example"},
	} {
		all = append(all, certificate(t, ca.Issue(t, names)))
	}
	fallback := certificate(t, ca.Issue(t, []string{"fallback.example"}))
	s.Use(&Configured{Certificates: all, Default: fallback})
	edge := &Edge{Fallback: policy(t, s, "default", dynamic.TLSOptions{}), Open: true}
	config := s.Config(func() *Edge { return edge })
	for name, want := range map[string]string{
		"a.example":       "a.example",
		"A.Example":       "a.example",
		"x.a.example":     "*.a.example",
		"b.a.example":     "b.a.example",
		"x.b.a.example":   "*.b.a.example",
		"x.y.b.a.example": "fallback.example",
		"x.y.a.example":   "fallback.example",
		"x.deep.example":  "fallback.example",
		"mixed.example":   "Mixed.Example",
		"other.example":   "fallback.example",
		"":                "a.example", // by address
	} {
		o := shake(t, config, &tls.Config{ServerName: name, InsecureSkipVerify: true})
		if o.clientErr != nil {
			t.Errorf("%q: %v, %v", name, o.clientErr, o.serverErr)
			continue
		}
		if got := o.client.PeerCertificates[0].DNSNames[0]; got != want {
			t.Errorf("%q is shown %s, want %s", name, got, want)
		}
	}
}
