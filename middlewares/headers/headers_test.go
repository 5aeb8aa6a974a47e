package headers_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/pergola-mesh/pergola/middlewares/headers"
	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/exchange/exchangetest"
)

func build(t *testing.T, config headers.Config) exchange.Middleware {
	t.Helper()
	m, err := headers.New(config)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestCustomFields(t *testing.T) {
	m := build(t, headers.Config{
		CustomRequestHeaders:  map[string]string{"X-Set": "new", "x-replace": "one", "X-Gone": "", "Host": "other.example", "Connection": ""},
		CustomResponseHeaders: map[string]string{"X-Out": "out", "Server": "", "X-Over": "mine"},
	})
	backend := &exchangetest.Backend{Fields: []string{"Server: s", "X-Over: theirs", "X-Over: twice", "X-Kept: k"}}
	r := exchangetest.Do(m(backend), exchangetest.Request("GET", "/", "X-Replace: a", "X-Replace: b", "X-Gone: 1", "X-Kept: k"))
	if got := string(backend.Header.AppendTo(nil)); got != "x-replace: one\r\nX-Kept: k\r\nX-Set: new\r\n" {
		t.Errorf("request\n%s", got)
	}
	if backend.Host != "other.example" {
		t.Errorf("host %q", backend.Host)
	}
	if got := string(r.Header.AppendTo(nil)); got != "X-Over: mine\r\nX-Kept: k\r\nX-Out: out\r\n" {
		t.Errorf("response\n%s", got)
	}
}

func TestPreflight(t *testing.T) {
	m := build(t, headers.Config{
		AccessControlAllowOriginList:      []string{"https://a.example", "https://b.example"},
		AccessControlAllowOriginListRegex: []string{`^https://[a-z]+\.c\.example$`},
		AccessControlAllowMethods:         []string{"GET", "PUT"},
		AccessControlAllowHeaders:         []string{"X-One", "X-Two"},
		AccessControlAllowCredentials:     true,
		AccessControlMaxAge:               600,
		AccessControlExposeHeaders:        []string{"X-Exposed"},
	})
	for origin, want := range map[string]string{
		"https://a.example":     "https://a.example",
		"https://b.example":     "https://b.example",
		"https://x.c.example":   "https://x.c.example",
		"https://x.c.example.z": "",
		"https://evil.example":  "",
		"null":                  "",
	} {
		backend := &exchangetest.Backend{}
		r := exchangetest.Do(m(backend), exchangetest.Request("OPTIONS", "/", "Origin: "+origin, "Access-Control-Request-Method: PUT"))
		if backend.Calls != 0 || r.Status != 200 || r.Body != "" {
			t.Errorf("%s: %d calls, %d %q", origin, backend.Calls, r.Status, r.Body)
		}
		if got := r.Get("Access-Control-Allow-Origin"); got != want || r.Has("Access-Control-Allow-Origin") != (want != "") {
			t.Errorf("%s: allow %q, want %q", origin, got, want)
		}
		for name, want := range map[string]string{
			"Access-Control-Allow-Methods": "GET,PUT", "Access-Control-Allow-Headers": "X-One,X-Two",
			"Access-Control-Allow-Credentials": "true", "Access-Control-Max-Age": "600", "Access-Control-Expose-Headers": "",
		} {
			if got := r.Get(name); got != want {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
		}
	}
}

// An OPTIONS without the fields of a preflight is the server's.
func TestOrdinaryOptions(t *testing.T) {
	m := build(t, headers.Config{AccessControlAllowOriginList: []string{"*"}})
	for _, fields := range [][]any{{"Origin: https://a"}, {"Access-Control-Request-Method: PUT"}, nil} {
		backend := &exchangetest.Backend{Status: 204}
		if r := exchangetest.Do(m(backend), exchangetest.Request("OPTIONS", "/", fields...)); r.Status != 204 || backend.Calls != 1 {
			t.Errorf("%v: %d, %d calls", fields, r.Status, backend.Calls)
		}
	}
	m = build(t, headers.Config{FrameDeny: true})
	backend := &exchangetest.Backend{}
	exchangetest.Do(m(backend), exchangetest.Request("OPTIONS", "/", "Origin: https://a", "Access-Control-Request-Method: PUT"))
	if backend.Calls != 1 {
		t.Error("a preflight is answered without any cross-origin key")
	}
}

func TestCrossOriginResponse(t *testing.T) {
	m := build(t, headers.Config{
		AccessControlAllowOriginList: []string{"*"}, AccessControlExposeHeaders: []string{"X-A", "X-B"},
		AccessControlAllowCredentials: true, AddVaryHeader: true,
	})
	for vary, want := range map[string]string{
		"Vary: Accept":          "Accept|Origin",
		"Vary: Accept, Origin":  "Accept, Origin",
		"X-Nothing: to vary by": "Origin",
	} {
		backend := &exchangetest.Backend{Fields: []string{vary, "Access-Control-Allow-Origin: theirs"}}
		r := exchangetest.Do(m(backend), exchangetest.Request("GET", "/", "Origin: https://a.example"))
		if got := strings.Join(r.Values("Vary"), "|"); got != want {
			t.Errorf("%s: %q, want %q", vary, got, want)
		}
		if got := r.Values("Access-Control-Allow-Origin"); len(got) != 1 || got[0] != "*" {
			t.Errorf("allow %q", got)
		}
		if r.Get("Access-Control-Expose-Headers") != "X-A,X-B" || r.Get("Access-Control-Allow-Credentials") != "true" || r.Has("Access-Control-Max-Age") {
			t.Errorf("%s", r.Header.AppendTo(nil))
		}
	}
	m = build(t, headers.Config{AccessControlAllowOriginListRegex: []string{".*"}})
	if r := exchangetest.Do(m(&exchangetest.Backend{}), exchangetest.Request("GET", "/")); r.Has("Access-Control-Allow-Origin") {
		t.Error("an origin is allowed where none asked")
	}
}

func TestSecurityFields(t *testing.T) {
	config := headers.Config{
		STSSeconds: 31536000, STSIncludeSubdomains: true, STSPreload: true, FrameDeny: true, ContentTypeNosniff: true,
		BrowserXSSFilter: true, ContentSecurityPolicy: "default-src 'self'", ContentSecurityPolicyReportOnly: "default-src 'none'",
		PublicKey: "pin", ReferrerPolicy: "same-origin", PermissionsPolicy: "camera=()",
		SSLProxyHeaders: map[string]string{"X-Forwarded-Proto": "https"},
	}
	const (
		sts    = "Strict-Transport-Security: max-age=31536000; includeSubDomains; preload\r\n"
		pins   = "Public-Key-Pins: pin\r\n"
		fields = "X-Frame-Options: DENY\r\nX-Content-Type-Options: nosniff\r\nX-Xss-Protection: 1; mode=block\r\n" +
			"Content-Security-Policy: default-src 'self'\r\nContent-Security-Policy-Report-Only: default-src 'none'\r\n" +
			"Referrer-Policy: same-origin\r\nPermissions-Policy: camera=()\r\n"
	)
	forced, dev, custom := config, config, config
	forced.ForceSTSHeader = true
	dev.IsDevelopment = true
	custom.CustomFrameOptionsValue, custom.CustomBrowserXSSValue = "SAMEORIGIN", "0"
	for _, c := range []struct {
		name   string
		config headers.Config
		target string
		field  string
		want   string
	}{
		{"plain", config, "http://a.example/", "X-A: b", fields},
		{"TLS", config, "https://a.example/", "X-A: b", fields + sts + pins},
		{"TLS before a proxy", config, "http://a.example/", "X-Forwarded-Proto: https", fields + sts + pins},
		{"plain before a proxy", config, "http://a.example/", "X-Forwarded-Proto: http", fields},
		{"forced", forced, "http://a.example/", "X-A: b", sts + fields},
		{"development", dev, "https://a.example/", "X-A: b", fields},
		{"custom values", custom, "http://a.example/", "X-A: b", strings.NewReplacer("DENY", "SAMEORIGIN", "1; mode=block", "0").Replace(fields)},
	} {
		m := build(t, c.config)
		r := exchangetest.Do(m(&exchangetest.Backend{}), exchangetest.Request("GET", c.target, c.field))
		if got := string(r.Header.AppendTo(nil)); got != c.want {
			t.Errorf("%s\n%swant\n%s", c.name, got, c.want)
		}
	}
}

func TestAllowedHosts(t *testing.T) {
	config := headers.Config{AllowedHosts: []string{"a.example", "B.example:8080"}, HostsProxyHeaders: []string{"X-Forwarded-Host"}}
	dev := config
	dev.IsDevelopment = true
	for _, c := range []struct {
		config headers.Config
		host   string
		field  string
		status int
	}{
		{config, "A.example", "X-A: b", 200},
		{config, "b.example:8080", "X-A: b", 200},
		{config, "b.example", "X-A: b", 403},
		{config, "evil.example", "X-A: b", 403},
		{config, "evil.example", "X-Forwarded-Host: a.example", 200},
		{config, "a.example", "X-Forwarded-Host: evil.example", 403},
		{dev, "evil.example", "X-A: b", 200},
	} {
		backend := &exchangetest.Backend{}
		r := exchangetest.Do(build(t, c.config)(backend), exchangetest.Request("GET", "/", "Host: "+c.host, c.field))
		if r.Status != c.status || (backend.Calls == 1) != (c.status == 200) {
			t.Errorf("%s %s: %d", c.host, c.field, r.Status)
		}
	}
}

// The order is that of the layers: custom fields have the last word over the security ones.
func TestCustomOverridesSecurity(t *testing.T) {
	m := build(t, headers.Config{FrameDeny: true, CustomResponseHeaders: map[string]string{"X-Frame-Options": "SAMEORIGIN"}})
	r := exchangetest.Do(m(&exchangetest.Backend{}), exchangetest.Request("GET", "/"))
	if got := r.Values("X-Frame-Options"); len(got) != 1 || got[0] != "SAMEORIGIN" {
		t.Errorf("%q", got)
	}
}

func TestErrorsCarryTheFields(t *testing.T) {
	m := build(t, headers.Config{FrameDeny: true, AccessControlAllowOriginList: []string{"*"}})
	x := exchangetest.Request("GET", "/", "Origin: https://a")
	r := exchangetest.Do(m(&exchangetest.Backend{Err: exchange.DialFailed}), x)
	if r.Err != nil || r.Status != 502 || r.Get("X-Frame-Options") != "DENY" || r.Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("%v, %d, %s", r.Err, r.Status, r.Header.AppendTo(nil))
	}
	if !x.Record.Failed || x.Record.Kind != exchange.DialFailed {
		t.Errorf("record %+v", x.Record)
	}
	r = exchangetest.Do(m(&exchangetest.Backend{Err: exchange.ClientAbort}), exchangetest.Request("GET", "/"))
	if !errors.Is(r.Err, exchange.ClientAbort) {
		t.Errorf("a client that left is answered: %v", r.Err)
	}
}

func TestBadConfigurations(t *testing.T) {
	for name, config := range map[string]headers.Config{
		"customRequestHeaders":  {CustomRequestHeaders: map[string]string{"X A": "b"}},
		"customResponseHeaders": {CustomResponseHeaders: map[string]string{"X-A": "b\r\nX-Evil: 1"}},
		"Content-Length":        {CustomRequestHeaders: map[string]string{"content-length": "0"}},
		"Transfer-Encoding":     {CustomResponseHeaders: map[string]string{"Transfer-Encoding": "chunked"}},
		"sslRedirect":           {SSLRedirect: true},
		"redirectScheme":        {SSLTemporaryRedirect: true},
		"sslHost":               {SSLHost: "a"},
		"sslForceHost":          {SSLForceHost: true},
		"permissionsPolicy":     {FeaturePolicy: "a"},
		"OriginListRegex[0]":    {AccessControlAllowOriginListRegex: []string{"("}},
		"hostsProxyHeaders":     {HostsProxyHeaders: []string{""}},
		"sslProxyHeaders":       {SSLProxyHeaders: map[string]string{"a b": ""}},
		"Referrer-Policy":       {ReferrerPolicy: "a\nb"},
		"stsSeconds is -1":      {STSSeconds: -1},
	} {
		if _, err := headers.New(config); err == nil || !strings.Contains(strings.ToLower(err.Error()), strings.ToLower(name)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

var plain = headers.Config{
	CustomRequestHeaders:  map[string]string{"X-A": "a", "X-B": "", "Host": "b.example"},
	CustomResponseHeaders: map[string]string{"Server": "", "X-C": "c"},
	FrameDeny:             true, STSSeconds: 60, AllowedHosts: []string{"b.example"},
	AccessControlAllowOriginList: []string{"https://a", "https://b"}, AddVaryHeader: true,
}

func TestAllocatesNothing(t *testing.T) {
	exchangetest.AllocatesNothing(t, build(t, plain), exchangetest.Request("GET", "https://a.example/", "X-B: b", "Origin: https://b"))
}

func BenchmarkHeaders(b *testing.B) {
	m, _ := headers.New(plain)
	exchangetest.Bench(b, m, exchangetest.Request("GET", "https://a.example/", "X-B: b", "Origin: https://b"))
}
