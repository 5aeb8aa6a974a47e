package middlewares

import (
	"testing"

	"github.com/pergola-mesh/pergola/internal/waittest"
	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/exchange/exchangetest"
)

// What a middleware refuses itself, clients of gRPC and gRPC-Web are told in their own terms, and others by the status.
func TestRefusalsOfCalls(t *testing.T) {
	failing := exchange.HandlerFunc(func(x *exchange.Exchange) error {
		x.Respond(500, "", nil)
		return nil
	})
	basic := map[string]any{"users": []any{"a:{SHA}qUqP5cyxm6YcTAhz05Hph5gvu9M="}}
	digest := map[string]any{"users": []any{"a:traefik:0123456789abcdef0123456789abcdef"}}
	list := func(status int) map[string]any {
		return map[string]any{"sourceRange": []any{"10.0.0.0/8"}, "rejectStatusCode": status}
	}
	breaker := func(status int) map[string]any {
		return map[string]any{"expression": "ResponseCodeRatio(500, 600, 0, 600) > 0.1", "responseCode": status, "checkPeriod": "1ms"}
	}
	for name, tt := range map[string]struct {
		kind   string
		config map[string]any
		opens  bool // after some answers
		status int
		call   string
	}{
		"basicAuth":                        {"basicAuth", basic, false, 401, "16 Unauthorized"},
		"digestAuth":                       {"digestAuth", digest, false, 401, "16 Unauthorized"},
		"ipAllowList":                      {"ipAllowList", list(403), false, 403, "7 Forbidden"},
		"ipAllowList, a status of its own": {"ipAllowList", list(404), false, 404, "12 Not Found"},
		"ipAllowList, an odd status":       {"ipAllowList", list(418), false, 418, "2 I'm a teapot"},
		"circuitBreaker":                   {"circuitBreaker", breaker(503), true, 503, "14 Service Unavailable"},
		"circuitBreaker, another status":   {"circuitBreaker", breaker(429), true, 429, "14 Too Many Requests"},
		"headers":                          {"headers", map[string]any{"allowedHosts": []any{"b.test"}}, false, 403, "7 Forbidden"},
		"buffering":                        {"buffering", map[string]any{"maxRequestBodyBytes": 2}, false, 413, "8 Request Entity Too Large"},
	} {
		t.Run(name, func(t *testing.T) {
			m, err := New(testEnv(), tt.kind, tt.config)
			if err != nil {
				t.Fatal(err)
			}
			h := m(failing)
			ask := func(contentType string) *exchangetest.Result {
				return exchangetest.Do(h, exchangetest.Request("POST", "/", "Content-Type: "+contentType, exchangetest.Pieces("body")))
			}
			if tt.opens {
				waittest.Until(t, "the circuit to open", func() bool { return ask("text/plain").Status == tt.status })
			}
			r := ask("application/grpc+proto")
			if got := r.Get("Grpc-Status") + " " + r.Get("Grpc-Message"); r.Status != 200 || r.Get("Content-Type") != "application/grpc" || got != tt.call || r.Body != "" {
				t.Errorf("gRPC: %d %q %q", r.Status, got, r.Body)
			}
			if r := ask("application/grpc-web"); r.Status != 200 || r.Get("Content-Type") != "application/grpc-web+proto" || len(r.Body) < 6 || r.Body[0] != 0x80 {
				t.Errorf("gRPC-Web: %d %q", r.Status, r.Body)
			}
			if r := ask("text/plain"); r.Status != tt.status || r.Has("Grpc-Status") {
				t.Errorf("%d, want %d", r.Status, tt.status)
			}
		})
	}
}

// A call has no use for a page: the status that it ends with stays.
func TestErrorsLeaveCallsAlone(t *testing.T) {
	m, err := New(testEnv(), "errors", map[string]any{"status": []any{"400-599"}, "service": "pages"})
	if err != nil {
		t.Fatal(err)
	}
	h := m(exchange.HandlerFunc(func(*exchange.Exchange) error { return exchange.NoEndpoint }))
	if r := exchangetest.Do(h, exchangetest.Request("POST", "/", "Content-Type: application/grpc")); r.Get("Grpc-Status") != "14" || r.Body != "" {
		t.Errorf("%d %q", r.Status, r.Body)
	}
	if r := exchangetest.Do(h, exchangetest.Request("POST", "/")); r.Status != 503 || r.Body != "pages /" {
		t.Errorf("%d %q", r.Status, r.Body)
	}
}
