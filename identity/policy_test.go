package identity

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pergola-mesh/pergola/config/dynamic"
	"github.com/pergola-mesh/pergola/internal/certtest"
	"github.com/pergola-mesh/pergola/internal/nettest"
)

// cache is a client's memory of sessions that takes any host for any other, as an attacker's would.
type cache struct{ state *tls.ClientSessionState }

func (c *cache) Get(string) (*tls.ClientSessionState, bool)  { return c.state, c.state != nil }
func (c *cache) Put(_ string, state *tls.ClientSessionState) { c.state = state }

func mutual(kind string) dynamic.TLSOptions {
	return dynamic.TLSOptions{ClientAuth: &dynamic.ClientAuth{CAFiles: []string{"ca.pem"}, ClientAuthType: kind}}
}

// Whom each way of asking for certificates lets in.
func TestClientAuth(t *testing.T) {
	ca, other := certtest.NewAuthority("ca"), certtest.NewAuthority("other")
	clients := map[string]tls.Certificate{
		"none":  {},
		"ours":  ca.Issue([]string{"client"}),
		"other": other.Issue([]string{"client"}),
		"expired": ca.Issue([]string{"client"}, func(c *x509.Certificate) {
			c.NotBefore, c.NotAfter = time.Now().Add(-2*time.Hour), time.Now().Add(-time.Minute)
		}),
		"nul":    ca.Issue([]string{"client\x00.evil.example"}),
		"nul cn": ca.Issue([]string{"client"}, func(c *x509.Certificate) { c.Subject.CommonName = "admin\x00.evil.example" }),
		"server": ca.Issue([]string{"client"}, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }),
	}
	for kind, want := range map[string]string{
		"":                           "ours",
		"NoClientCert":               "expired none nul nul cn other ours server",
		"RequestClientCert":          "expired none nul nul cn other ours server",
		"RequireAnyClientCert":       "expired nul nul cn other ours server",
		"VerifyClientCertIfGiven":    "none ours",
		"RequireAndVerifyClientCert": "ours",
	} {
		s := &Store{}
		edge := bound(policy(t, s, "p", mutual(kind), ca.PEM()), nil)
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			var in []string
			for name, certificate := range clients {
				config := &tls.Config{ServerName: "a.example", InsecureSkipVerify: true, MaxVersion: version,
					GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &certificate, nil }}
				if o := shake(t, at(s, edge), config); o.serverErr == nil {
					in = append(in, name)
				}
			}
			slices.Sort(in)
			if got := strings.Join(in, " "); got != want {
				t.Errorf("%s, %s: in are %q, want %q", kind, tls.VersionName(version), got, want)
			}
		}
	}
}

// Hardening 31: a session counts under the policy that it was made under, and nowhere else.
func TestSessionsDoNotCrossPolicies(t *testing.T) {
	one, two := certtest.NewAuthority("one"), certtest.NewAuthority("two")
	known := one.Issue([]string{"client"})
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			s := &Store{}
			open := policy(t, s, "open", dynamic.TLSOptions{})
			asking := policy(t, s, "asking", mutual("RequestClientCert"), one.PEM())
			first := policy(t, s, "first", mutual(""), one.PEM())
			second := policy(t, s, "second", mutual(""), two.PEM())
			twin := policy(t, s, "twin", mutual(""), one.PEM())
			without := policy(t, s, "without", dynamic.TLSOptions{DisableSessionTickets: true})
			edge := bound(open, map[string]*Policy{"asking.example": asking, "first.example": first, "second.example": second,
				"twin.example": twin, "without.example": without})
			connect := func(name string, sessions *cache, certificates ...tls.Certificate) outcome {
				return shake(t, at(s, edge), &tls.Config{ServerName: name, InsecureSkipVerify: true, MaxVersion: version,
					ClientSessionCache: sessions, Certificates: certificates})
			}
			for _, c := range []struct {
				from, to string
				with     []tls.Certificate // shown at the second handshake, if it is a full one
				want     string
			}{
				{"open.example", "open.example", nil, "resumed"},
				{"open.example", "other.example", nil, "resumed"}, // the same policy
				{"first.example", "first.example", nil, "resumed"},
				{"open.example", "first.example", nil, "refused"},
				{"asking.example", "first.example", nil, "refused"},
				{"first.example", "second.example", nil, "refused"},
				{"first.example", "twin.example", nil, "refused"},
				{"first.example", "twin.example", []tls.Certificate{known}, "full"},
				{"first.example", "open.example", nil, "full"},
				{"first.example", "asking.example", nil, "full"},
				{"without.example", "without.example", nil, "full"},
			} {
				sessions := &cache{}
				if o := connect(c.from, sessions, known); o.serverErr != nil || o.server.DidResume {
					t.Fatalf("%s: %v", c.from, o.serverErr)
				}
				o, got := connect(c.to, sessions, c.with...), "refused"
				switch {
				case o.serverErr == nil && o.server.DidResume:
					got = "resumed"
				case o.serverErr == nil:
					got = "full"
				}
				if got != c.want {
					t.Errorf("from %s to %s: %s, want %s: %v", c.from, c.to, got, c.want, o.serverErr)
				}
			}

			// Under the same name, by other authorities.
			sessions := &cache{}
			if o := connect("first.example", sessions, known); o.serverErr != nil {
				t.Fatal(o.serverErr)
			}
			edge = bound(open, map[string]*Policy{"first.example": policy(t, s, "first", mutual(""), two.PEM())})
			if o := connect("first.example", sessions); o.serverErr == nil {
				t.Error("a session outlived the authority that its client was verified by")
			}
			// By the same: sessions outlive a reload.
			sessions = &cache{}
			edge = bound(open, map[string]*Policy{"first.example": policy(t, s, "first", mutual(""), one.PEM())})
			connect("first.example", sessions, known)
			edge = bound(open, map[string]*Policy{"first.example": policy(t, s, "first", mutual(""), one.PEM())})
			if o := connect("first.example", sessions); o.serverErr != nil || !o.server.DidResume {
				t.Errorf("a session did not outlive a reload that changed nothing: %v", o.serverErr)
			}
		})
	}
}

// A session ends with its client's certificate, and with the days that tickets live.
func TestSessionsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		long := func(c *x509.Certificate) { c.NotAfter = time.Now().Add(24 * 365 * time.Hour) }
		ca := certtest.NewAuthority("ca")
		root := certtest.NewAuthority("root")
		s := &Store{}
		s.Use(&Configured{Default: certificate(t, root.Issue([]string{"a.example"}, long))})
		edge := bound(policy(t, s, "open", dynamic.TLSOptions{}), map[string]*Policy{"m.example": policy(t, s, "mutual", mutual(""), ca.PEM())})
		connect := func(name string, sessions *cache, certificates ...tls.Certificate) outcome {
			return shake(t, at(s, edge), &tls.Config{ServerName: name, InsecureSkipVerify: true, ClientSessionCache: sessions, Certificates: certificates})
		}
		sessions := &cache{}
		brief := ca.Issue([]string{"client"}, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(10 * time.Minute) })
		connect("m.example", sessions, brief)
		if o := connect("m.example", sessions); o.serverErr != nil || !o.server.DidResume {
			t.Fatalf("not resumed: %v", o.serverErr)
		}
		time.Sleep(11 * time.Minute)
		if o := connect("m.example", sessions); o.serverErr == nil {
			t.Error("a session outlived its client's certificate")
		}

		sessions = &cache{}
		connect("a.example", sessions)
		time.Sleep(ticketRotation + time.Minute)
		if o := connect("a.example", sessions); o.serverErr != nil || !o.server.DidResume {
			t.Errorf("a session of yesterday is not resumed: %v", o.serverErr)
		}
		before := s.tickets.current()
		time.Sleep(ticketLife + time.Minute)
		if o := connect("a.example", sessions); o.serverErr != nil || o.server.DidResume {
			t.Errorf("a session of last week is resumed: %v", o.serverErr)
		}
		for _, secret := range s.tickets.current().secrets {
			if slices.Contains(before.secrets, secret) {
				t.Error("a secret outlived the tickets it was for")
			}
		}
		for range 20 {
			time.Sleep(ticketRotation)
			if n := len(s.tickets.current().secrets); n > 7 {
				t.Fatalf("%d secrets are kept", n)
			}
		}
	})
}

// fragmenting divides what is written into records of a few bytes.
type fragmenting struct {
	net.Conn
	size int
	once bool
}

func (c *fragmenting) Write(p []byte) (int, error) {
	if c.once {
		return c.Conn.Write(p)
	}
	c.once = true
	head, body := p[:5], p[5:]
	for len(body) > 0 {
		n := min(c.size, len(body))
		if _, err := c.Conn.Write(append([]byte{head[0], head[1], head[2], byte(n >> 8), byte(n)}, body[:n]...)); err != nil {
			return 0, err
		}
		body = body[n:]
	}
	return len(p), nil
}

// Hardening 29: a hello in pieces is put together before anything is decided by it.
func TestFragmentedHello(t *testing.T) {
	ca := certtest.NewAuthority("ca")
	s := &Store{}
	edge := bound(policy(t, s, "open", dynamic.TLSOptions{}), map[string]*Policy{"m.example": policy(t, s, "mutual", mutual(""), ca.PEM())})
	for _, size := range []int{30, 100, 300} {
		for _, name := range []string{"m.example", "a.example"} {
			near, far := nettest.Pair(t)
			o := shakeOver(t, &fragmenting{Conn: near, size: size}, far, at(s, edge), &tls.Config{ServerName: name, InsecureSkipVerify: true})
			if got := o.session.Policy(); got == nil || (got.Name() == "mutual") != (name == "m.example") {
				t.Errorf("pieces of %d: %s came under %v: %v", size, name, got, o.serverErr)
			}
			if (o.serverErr == nil) != (name == "a.example") {
				t.Errorf("pieces of %d, %s: %v", size, name, o.serverErr)
			}
		}
	}
}

// What is negotiated is what the options say.
func TestOptionsAreHonoured(t *testing.T) {
	defaults := dynamic.TLSOptions{}
	defaults.SetDefaults()
	suite := tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384
	for name, c := range map[string]struct {
		options dynamic.TLSOptions
		client  *tls.Config
		want    string
	}{
		"defaults":         {defaults, &tls.Config{}, "TLS 1.3"},
		"defaults, h2":     {defaults, &tls.Config{NextProtos: []string{"h2", "http/1.1"}}, "TLS 1.3 h2"},
		"defaults, 1.1":    {defaults, &tls.Config{NextProtos: []string{"http/1.1"}}, "TLS 1.3 http/1.1"},
		"no TLS 1.1":       {defaults, &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, "refused"},
		"TLS 1.1 if asked": {dynamic.TLSOptions{MinVersion: "VersionTLS10"}, &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, "TLS 1.1"},
		"minVersion":       {dynamic.TLSOptions{MinVersion: "VersionTLS13"}, &tls.Config{MaxVersion: tls.VersionTLS12}, "refused"},
		"maxVersion":       {dynamic.TLSOptions{MaxVersion: "VersionTLS12"}, &tls.Config{}, "TLS 1.2"},
		"cipherSuites":     {dynamic.TLSOptions{CipherSuites: []string{tls.CipherSuiteName(suite)}, MaxVersion: "VersionTLS12"}, &tls.Config{}, "TLS 1.2"},
		"other suites": {dynamic.TLSOptions{CipherSuites: []string{tls.CipherSuiteName(suite)}, MaxVersion: "VersionTLS12"},
			&tls.Config{CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}}, "refused"},
		"old suite": {dynamic.TLSOptions{CipherSuites: []string{"TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305", "TLS_FALLBACK_SCSV"}, MaxVersion: "VersionTLS12"},
			&tls.Config{CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256}}, "TLS 1.2"},
		"no suite":         {dynamic.TLSOptions{CipherSuites: []string{"TLS_FALLBACK_SCSV"}, MaxVersion: "VersionTLS12"}, &tls.Config{}, "refused"},
		"old curve":        {dynamic.TLSOptions{CurvePreferences: []string{"x25519"}}, &tls.Config{CurvePreferences: []tls.CurveID{tls.X25519}}, "TLS 1.3"},
		"curvePreferences": {dynamic.TLSOptions{CurvePreferences: []string{"CurveP384"}}, &tls.Config{CurvePreferences: []tls.CurveID{tls.X25519}}, "refused"},
		"alpnProtocols":    {dynamic.TLSOptions{ALPNProtocols: []string{"http/1.1"}}, &tls.Config{NextProtos: []string{"h2", "http/1.1"}}, "TLS 1.3 http/1.1"},
		"other protocols":  {dynamic.TLSOptions{ALPNProtocols: []string{"h2"}}, &tls.Config{NextProtos: []string{"spdy/3"}}, "refused"},
	} {
		t.Run(name, func(t *testing.T) {
			s := &Store{}
			c.client.ServerName, c.client.InsecureSkipVerify = "a.example", true
			o := shake(t, at(s, bound(policy(t, s, "p", c.options), nil)), c.client)
			got := "refused"
			if o.serverErr == nil {
				got = strings.TrimSpace(tls.VersionName(o.server.Version) + " " + o.server.NegotiatedProtocol)
			}
			if got != c.want {
				t.Errorf("%s, want %s: %v", got, c.want, o.serverErr)
			}
		})
	}
}

// Whoever makes handshakes may offer protocols of their own, under the same policies.
func TestOfferedProtocols(t *testing.T) {
	s := &Store{}
	edge := bound(policy(t, s, "p", dynamic.TLSOptions{ALPNProtocols: []string{"h2"}}), nil)
	config := s.Config(func() *Edge { return edge }, "h3")
	for range 2 {
		o := shake(t, config, &tls.Config{ServerName: "a.example", InsecureSkipVerify: true, NextProtos: []string{"h2", "h3"}})
		if o.server.NegotiatedProtocol != "h3" {
			t.Errorf("%q: %v", o.server.NegotiatedProtocol, o.serverErr)
		}
	}
}

// What is passed on may be of any protocol. Those that stand for no stated ones keep nobody away; stated ones do.
func TestProtocolsOfWhatIsPassedOn(t *testing.T) {
	var unstated dynamic.TLSOptions
	unstated.SetDefaults()
	for _, c := range []struct {
		name    string
		options dynamic.TLSOptions
		relayed bool
		offered []string
		want    string
		refused bool
	}{
		{name: "http", options: unstated, relayed: true, offered: []string{"postgresql", "http/1.1", "h2"}, want: "h2"},
		{name: "postgres", options: unstated, relayed: true, offered: []string{"postgresql"}, want: "postgresql"},
		{name: "another", options: unstated, relayed: true, offered: []string{"mqtt"}},
		{name: "none", options: unstated, relayed: true},
		{name: "stated", options: dynamic.TLSOptions{ALPNProtocols: []string{"h2"}}, relayed: true, offered: []string{"postgresql"}, refused: true},
		{name: "stated, of Postgres", options: dynamic.TLSOptions{ALPNProtocols: []string{"h2", "postgresql"}}, relayed: true, offered: []string{"postgresql"}, want: "postgresql"},
		{name: "not passed on", options: unstated, offered: []string{"postgresql"}, refused: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &Store{}
			edge := bound(policy(t, s, "p", c.options), nil)
			edge.Relayed = c.relayed
			for range 2 {
				o := shake(t, at(s, edge), &tls.Config{ServerName: "a.example", InsecureSkipVerify: true, NextProtos: c.offered})
				if refused := o.clientErr != nil; refused != c.refused || o.client.NegotiatedProtocol != c.want {
					t.Errorf("%q: %v", o.client.NegotiatedProtocol, o.clientErr)
				}
			}
		})
	}
}

// Hardening 32: options that cannot be honoured are errors.
func TestOptionsThatCannotBeHonoured(t *testing.T) {
	s := &Store{}
	for name, c := range map[string]struct {
		options     dynamic.TLSOptions
		authorities [][]byte
	}{
		"version":          {dynamic.TLSOptions{MinVersion: "TLS12"}, nil},
		"versions crossed": {dynamic.TLSOptions{MinVersion: "VersionTLS13", MaxVersion: "VersionTLS12"}, nil},
		"suite":            {dynamic.TLSOptions{CipherSuites: []string{"AES"}}, nil},
		"curve":            {dynamic.TLSOptions{CurvePreferences: []string{"P256"}}, nil},
		"protocol":         {dynamic.TLSOptions{ALPNProtocols: []string{""}}, nil},
		"client auth":      {mutual("Require"), [][]byte{certtest.NewAuthority("ca").PEM()}},
		"no authority":     {dynamic.TLSOptions{ClientAuth: &dynamic.ClientAuth{ClientAuthType: "RequireAndVerifyClientCert"}}, nil},
		"empty authority":  {mutual(""), [][]byte{nil}},
		"no PEM":           {mutual(""), [][]byte{[]byte("nonsense")}},
		"half an authority": {mutual(""), [][]byte{certtest.NewAuthority("ca").PEM(),
			[]byte("-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n")}},
	} {
		if p, err := s.NewPolicy(name, &c.options, c.authorities); err == nil {
			t.Errorf("%s is honoured as %+v", name, p)
		}
	}
}

// A policy that refuses does so for whatever is asked, and tells why.
func TestRefusal(t *testing.T) {
	s := &Store{}
	edge := bound(Refusal("p", io.ErrUnexpectedEOF), nil)
	for _, name := range []string{"a.example", ""} {
		o := shake(t, at(s, edge), &tls.Config{ServerName: name, InsecureSkipVerify: true})
		if o.clientErr == nil || o.session.Err() != io.ErrUnexpectedEOF || o.session.Policy() != nil {
			t.Errorf("%q: %v, %v", name, o.clientErr, o.session.Err())
		}
	}
	if got := fmt.Sprint(Refusal("p", io.EOF).AsksClients()); got != "true" {
		t.Error("a policy that refuses everybody may be taken for a lax one")
	}
}
