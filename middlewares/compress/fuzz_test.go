package compress

import (
	"strings"
	"testing"

	"github.com/pergola-mesh/pergola/proxy/exchange/exchangetest"
)

// Whatever a client says it accepts, it gets nothing that it excluded, and nothing that it did not
// name unless it said "*".
func FuzzNegotiate(f *testing.F) {
	for _, seed := range []string{"gzip, br;q=0.5", "*;q=0.1, gzip;q=0", "identity;q=1,*", `"a,b";q=1`, ";;q=,", "gzip;q=1.0000", "gzip;q=0.5, gzip;q=0"} {
		f.Add(seed)
	}
	config := Config{}
	config.SetDefaults()
	config.DefaultEncoding = "zstd"
	p := &policy{}
	for _, name := range config.Encodings {
		p.codings = append(p.codings, codings[name])
	}
	p.standard = codings[config.DefaultEncoding]
	f.Fuzz(func(t *testing.T, accept string) {
		x := exchangetest.Request("GET", "/", "Accept-Encoding: "+strings.NewReplacer("\r", " ", "\n", " ").Replace(accept))
		c := p.negotiate(&x.Request.Header)
		if c == nil {
			return
		}
		q := quality(&x.Request.Header, c.name)
		if q < 0 {
			q = quality(&x.Request.Header, "*")
		}
		if q <= 0 || q > 1000 {
			t.Errorf("%q: %s, whose weight is %d", accept, c.name, q)
		}
	})
}
