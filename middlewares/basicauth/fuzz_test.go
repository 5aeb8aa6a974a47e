package basicauth

import (
	"net/http"
	"testing"

	"github.com/pergola-mesh/pergola/proxy/exchange"
)

// What net/http reads out of an Authorization field, this reads too, and nothing else.
func FuzzCredentials(f *testing.F) {
	for _, seed := range []string{"Basic dGVzdDp0ZXN0", "basic Og==", "Basic dGVzdA==", "Bearer x", "Basic", "Basic ====", "Basic  dGVzdDp0ZXN0"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		var h exchange.Header
		h.Add(exchange.Authorization, value)
		var buf [maxCredentials]byte
		got := credentials(&h, buf[:])
		r := http.Request{Header: http.Header{"Authorization": {string(h.Get(exchange.Authorization))}}}
		user, password, ok := r.BasicAuth()
		if len(value) > 1300 {
			return // longer than is read here
		}
		if want := user + ":" + password; ok && want != string(got) {
			t.Errorf("%q: %q, net/http %q", value, got, want)
		}
		for _, c := range got {
			if c == ':' && !ok {
				t.Errorf("%q: %q, net/http nothing", value, got)
			}
		}
	})
}
