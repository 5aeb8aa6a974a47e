package api

import (
	"context"
	"net"
	"net/http"
	"strings"
	"testing"
)

func TestGuard(t *testing.T) {
	header := func(name, value string) func(r *http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	host := func(host string) func(r *http.Request) { return func(r *http.Request) { r.Host = host } }
	method := func(method string) func(r *http.Request) { return func(r *http.Request) { r.Method = method } }
	local := func(address string) func(r *http.Request) {
		return func(r *http.Request) {
			a, err := net.ResolveTCPAddr("tcp", address)
			if err != nil {
				t.Fatal(err)
			}
			*r = *r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, net.Addr(a)))
		}
	}
	unknown := func(r *http.Request) { *r = *r.WithContext(context.Background()) }
	type changes []func(r *http.Request)
	for _, test := range []struct {
		name   string
		change changes
		want   int
	}{
		{"localhost", nil, 200},
		{"head", changes{method("HEAD")}, 200},
		{"post", changes{method("POST")}, 405},
		{"preflight", changes{method("OPTIONS"), header("Origin", "http://evil.example")}, 405},
		{"delete", changes{method("DELETE")}, 405},
		{"loopback address", changes{host("127.0.0.1:8080")}, 200},
		{"another loopback address", changes{host("127.8.9.1")}, 200},
		{"loopback address, IPv6", changes{host("[::1]:8080")}, 200},
		{"name below localhost", changes{host("gw.localhost:8080")}, 200},
		{"rebound name", changes{host("evil.example:8080")}, 403},
		{"rebound name, IPv6", changes{host("evil.example:8080"), local("[::1]:8080")}, 403},
		{"rebound name that looks local", changes{host("localhost.evil.example")}, 403},
		{"rebound name that ends in the word", changes{host("evillocalhost")}, 403},
		{"no host", changes{host("")}, 403},
		{"other address", changes{host("192.0.2.1:8080")}, 403},
		{"configured name", changes{host("Gateway.example:8080")}, 200},
		{"any name where not on loopback", changes{host("gw.example"), local("192.0.2.1:8080")}, 200},
		{"any name on an unknown address", changes{host("gw.example"), unknown}, 403},
		{"own origin", changes{header("Origin", "http://localhost:8080")}, 200},
		{"own origin by address", changes{host("[::1]:8080"), header("Origin", "http://[::1]:8080")}, 200},
		{"foreign origin", changes{header("Origin", "http://evil.example")}, 403},
		{"foreign port", changes{header("Origin", "http://localhost:9090")}, 403},
		{"null origin", changes{header("Origin", "null")}, 403},
		{"foreign script", changes{header("Sec-Fetch-Site", "cross-site"), header("Sec-Fetch-Mode", "no-cors")}, 403},
		{"foreign link", changes{header("Sec-Fetch-Site", "cross-site"), header("Sec-Fetch-Mode", "navigate")}, 200},
		{"own script", changes{header("Sec-Fetch-Site", "same-origin"), header("Sec-Fetch-Mode", "cors")}, 200},
	} {
		o := options(running())
		o.Hosts = []string{"gateway.example"}
		w := get(New(o), "/api/rawdata", test.change...)
		if w.Code != test.want {
			t.Errorf("%s: %d, want %d: %s", test.name, w.Code, test.want, w.Body)
		}
		if w.Code != 200 && strings.Contains(w.Body.String(), "a.example`") {
			t.Errorf("%s: the refusal shows the configuration: %s", test.name, w.Body)
		}
		for name := range w.Header() {
			if strings.HasPrefix(name, "Access-Control-") {
				t.Errorf("%s: %s is set", test.name, name)
			}
		}
	}
}

func TestAnyHostCanBeAllowed(t *testing.T) {
	o := options(running())
	o.Hosts = []string{"*"}
	if w := get(New(o), "/api/version", func(r *http.Request) { r.Host = "gw.example" }); w.Code != 200 {
		t.Error(w.Code)
	}
}

func TestSecretsAreNotShown(t *testing.T) {
	shown := hideSecrets(map[string]any{
		"users":                []any{"alice:hash", "bob"},
		"Users":                "carol:hash",
		"customRequestHeaders": map[string]any{"Authorization": "Bearer hash", "X-Api-Key": "hash", "X-A": "shown", "Cookie": "hash"},
		"clientSecret":         "hash",
		"redis":                map[string]any{"password": "hash", "endpoints": []any{"redis://u:hash@r:6379"}},
		"tls":                  map[string]any{"key": "-----BEGIN EC PRIVATE KEY-----\nhash", "cert": "shown"},
		"tokens":               []any{"hash", []any{"hash"}, map[string]any{"password": "hash"}},
		"address":              "http://auth.example/?a=shown",
		"bad":                  "http://u:hash@[",
		"empty":                map[string]any{"password": ""},
	})
	var all []string
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			for _, value := range v {
				walk(value)
			}
		case []any:
			for _, value := range v {
				walk(value)
			}
		case string:
			all = append(all, v)
		}
	}
	walk(shown)
	text := strings.Join(all, "\n")
	if strings.Contains(text, "hash") || strings.Count(text, "shown") != 3 || !strings.Contains(text, "alice:REDACTED") {
		t.Error(text)
	}
}
