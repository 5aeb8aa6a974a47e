//go:build linux

package integration

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/pergola-mesh/pergola/integration/harness"
)

// quicVisit makes a QUIC connection for the server name and asks for hosts on it, one after the other. The
// connection begins early: a request goes out as soon as the session allows for it. It returns the statuses,
// or what the first error was, and how the connection was made.
func quicVisit(t *testing.T, address string, config *tls.Config, hosts ...string) (answers string, state quic.ConnectionState) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), harness.Patience)
	defer cancel()
	config.NextProtos = []string{http3.NextProtoH3}
	conn, err := quic.DialAddrEarly(ctx, address, config, &quic.Config{})
	if err != nil {
		t.Logf("no connection: %v", err)
		return "refused", state
	}
	defer conn.CloseWithError(0x100, "")
	transport := &http3.Transport{}
	defer transport.Close()
	client := transport.NewClientConn(conn)
	for _, host := range hosts {
		request, err := http.NewRequestWithContext(ctx, "GET", "https://"+host+"/headers", nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := client.RoundTrip(request)
		if err != nil {
			if strings.Contains(err.Error(), "deadline") {
				t.Errorf("%s: %v", host, err)
			}
			return strings.TrimSpace(answers + " refused"), conn.ConnectionState()
		}
		io.Copy(io.Discard, response.Body)
		response.Body.Close()
		answers = strings.TrimSpace(fmt.Sprintf("%s %d", answers, response.StatusCode))
	}
	return answers, conn.ConnectionState()
}

// TestHTTP3ClientCertificates: over QUIC too, who has no certificate gets nowhere that asks for one, neither by
// another host, nor by a session of another host or of before; and what is asked for is never early data,
// which could be replayed.
func TestHTTP3ClientCertificates(t *testing.T) {
	g, authority := startTLSWith(t, strings.Replace(overTLS, "address: $WEB\n", "address: $WEB\n    http3: {}\n", 1))
	client, err := tls.LoadX509KeyPair(filepath.Join(g.Dir, "client.pem"), filepath.Join(g.Dir, "client.key"))
	if err != nil {
		t.Fatal(err)
	}
	stranger := harness.NewAuthority(t)
	impostor := stranger.Issue("client.test").Certificate
	with := func(c ...tls.Certificate) []tls.Certificate { return c }
	sessions := map[string]*frozenSession{"": nil, "of a.test": {}, "of mtls.test": {}}
	for _, step := range []struct {
		what    string
		name    string
		session string
		client  []tls.Certificate
		hosts   []string
		want    string
		resumed bool
	}{
		{"everybody", "a.test", "of a.test", nil, []string{"a.test"}, "200", false},
		{"again", "a.test", "of a.test", nil, []string{"a.test"}, "200", true},
		{"with a certificate", "mtls.test", "of mtls.test", with(client), []string{"mtls.test"}, "200", false},
		{"its session stands for it", "mtls.test", "of mtls.test", nil, []string{"mtls.test"}, "200", true},

		{"no certificate", "mtls.test", "", nil, []string{"mtls.test"}, "refused", false},
		{"another authority's", "mtls.test", "", with(impostor), []string{"mtls.test"}, "refused", false},
		{"another host's session", "mtls.test", "of a.test", nil, []string{"mtls.test"}, "refused", false},
		{"its session is none of another host's", "a.test", "of mtls.test", nil, []string{"a.test", "mtls.test"}, "200 421", false},
		{"by another host", "a.test", "", nil, []string{"mtls.test"}, "421", false},
		{"by another host, with a certificate that is not asked for", "a.test", "", with(client), []string{"mtls.test", "a.test"}, "421 200", false},
		{"by another host, spelled otherwise", "a.test", "", nil, []string{"MTLS.test", "mtls.test.", "mtls.test:443", "a.test", "MTLS.TEST.:8443"}, "421 421 421 200 421", false},
		{"by another host, resumed", "a.test", "of a.test", nil, []string{"mtls.test", "a.test"}, "421 200", true},
		{"the other way round", "mtls.test", "of mtls.test", nil, []string{"a.test", "mtls.test"}, "421 200", true},
		{"nobody's name", "b.test", "", nil, []string{"a.test"}, "refused", false},
	} {
		config := &tls.Config{RootCAs: authority.Pool(), ServerName: step.name, Certificates: step.client}
		if s := sessions[step.session]; s != nil {
			config.ClientSessionCache = s
		}
		answers, state := quicVisit(t, g.Web, config, step.hosts...)
		if answers != step.want {
			t.Errorf("%s: %s, want %s", step.what, answers, step.want)
		}
		if state.TLS.DidResume != step.resumed && answers != "refused" {
			t.Errorf("%s: resumed %t, want %t", step.what, state.TLS.DidResume, step.resumed)
		}
		if state.Used0RTT {
			t.Errorf("%s: the request was early data", step.what)
		}
	}
	if sessions["of a.test"].first == nil {
		t.Error("no session was kept")
	} else if _, state, err := sessions["of a.test"].first.ResumptionState(); err != nil || state.EarlyData {
		t.Errorf("the ticket allows for early data: %v", err)
	}
}
