package stripprefixregex_test

import (
	"testing"

	"github.com/pergola-mesh/pergola/middlewares/stripprefixregex"
	"github.com/pergola-mesh/pergola/proxy/exchange/exchangetest"
)

func TestStripPrefixRegex(t *testing.T) {
	for _, c := range []struct {
		regex             []string
		target, want, xfp string
		status            int
	}{
		{[]string{"/a/api/"}, "/a/api/test", "/test", "/a/api/", 200},
		{[]string{"/[a-z]+/[0-9]+"}, "/b/42/c?q", "/c?q", "/b/42", 200},
		{[]string{"/x", " /a "}, "/a/b", "/b", "/a", 200},
		{[]string{"/b"}, "/a/b", "/a/b", "", 200}, // not at the beginning
		{[]string{"/?"}, "/", "/", "/", 200},
		{[]string{"z*"}, "/a", "/a", "", 200}, // an empty match
		{[]string{"/a%2"}, "/a%2Fb", "", "", 400},
		{[]string{"/[a-z]+"}, "/api../admin", "", "", 400},
	} {
		m, err := stripprefixregex.New(stripprefixregex.Config{Regex: c.regex})
		if err != nil {
			t.Fatal(err)
		}
		backend := &exchangetest.Backend{}
		r := exchangetest.Do(m(backend), exchangetest.Request("GET", c.target))
		if r.Status != c.status || backend.URI != c.want || backend.Get("X-Forwarded-Prefix") != c.xfp {
			t.Errorf("%q from %q: %d %q, X-Forwarded-Prefix %q", c.regex, c.target, r.Status, backend.URI, backend.Get("X-Forwarded-Prefix"))
		}
	}
	if _, err := stripprefixregex.New(stripprefixregex.Config{Regex: []string{"("}}); err == nil {
		t.Error("a bad expression is taken")
	}
}
