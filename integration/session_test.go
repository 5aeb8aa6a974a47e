//go:build linux

package integration

import (
	"crypto/tls"
	"net/http"
	"testing"

	"github.com/pergola-mesh/pergola/integration/harness"
)

// frozenSession is a cache of sessions that keeps the first it is given, of whatever server.
type frozenSession struct {
	name    string
	config  *tls.Config
	version uint16
	quic    bool
	first   *tls.ClientSessionState
}

func (s *frozenSession) Get(string) (*tls.ClientSessionState, bool) { return s.first, s.first != nil }

func (s *frozenSession) Put(_ string, state *tls.ClientSessionState) {
	if s.first == nil {
		s.first = state
	}
}

// connect makes a connection and a request, and reports whether the session was resumed.
func (s *frozenSession) connect(t *testing.T, address string) bool {
	t.Helper()
	if s.quic {
		answer, state := quicVisit(t, address, s.config, s.config.ServerName)
		if answer != "200" {
			t.Errorf("%s: %s", s.name, answer)
		}
		return state.TLS.DidResume
	}
	transport := &http.Transport{TLSClientConfig: s.config, DisableKeepAlives: true}
	request, err := http.NewRequest("GET", "https://"+address+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Host = s.config.ServerName
	response, err := (&http.Client{Transport: transport, Timeout: harness.Patience}).Do(request)
	if err != nil {
		t.Fatalf("%s: %v", s.name, err)
	}
	response.Body.Close()
	if response.StatusCode != 200 {
		t.Errorf("%s: %s", s.name, response.Status)
	}
	return response.TLS.DidResume
}
