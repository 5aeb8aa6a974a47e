package source

import (
	"testing"

	"github.com/pergola-mesh/pergola/middlewares/internal/clientip"
	"github.com/pergola-mesh/pergola/proxy/exchange/exchangetest"
)

func TestSource(t *testing.T) {
	a := exchangetest.Request("GET", "http://A.example:8080/", "X-Key: k", "X-Forwarded-For: 10.0.0.1, 10.0.0.2")
	b := exchangetest.Request("GET", "http://a.EXAMPLE/", "X-Key: other", "X-Forwarded-For: 10.0.0.1, 10.0.0.3")
	for _, c := range []struct {
		name   string
		config *Config
		key    string
		same   bool
	}{
		{"the default", nil, "a.example", true},
		{"nothing set", &Config{}, "a.example", true},
		{"host", &Config{RequestHost: true}, "a.example", true},
		{"field", &Config{RequestHeaderName: "x-key"}, "k", false},
		{"a field nobody has", &Config{RequestHeaderName: "X-None"}, "", true},
		{"address", &Config{IPStrategy: &clientip.Config{}}, "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\xc0\x00\x02\x01", true},
		{"depth", &Config{IPStrategy: &clientip.Config{Depth: 1}}, "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\x0a\x00\x00\x02", false},
		{"too deep", &Config{IPStrategy: &clientip.Config{Depth: 9}}, "", true},
	} {
		s, err := New(c.config, Config{RequestHost: true})
		if err != nil {
			t.Fatal(err)
		}
		one, other := string(s.Append(nil, a)), string(s.Append(nil, b))
		if one != c.key || (one == other) != c.same {
			t.Errorf("%s: %q and %q, want %q", c.name, one, other, c.key)
		}
	}
	for _, c := range []Config{
		{RequestHost: true, RequestHeaderName: "X"},
		{RequestHost: true, IPStrategy: &clientip.Config{}},
		{IPStrategy: &clientip.Config{Depth: -1}},
	} {
		if _, err := New(&c, Config{}); err == nil {
			t.Errorf("%+v is accepted", c)
		}
	}
}
