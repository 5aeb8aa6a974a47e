package replacepathregex_test

import (
	"testing"

	"github.com/pergola-mesh/pergola/middlewares/replacepathregex"
	"github.com/pergola-mesh/pergola/proxy/exchange/exchangetest"
)

func TestReplacePathRegex(t *testing.T) {
	for _, c := range []struct {
		regex, replacement, target, want, replaced string
		status                                     int
	}{
		{`^/foo/(.*)`, "/bar/$1", "/foo/a?x=1", "/bar/a?x=1", "/foo/a", 200},
		{`^/(?P<a>[^/]+)/(?P<b>.*)`, " /${b}/${a} ", "/x/y", "/y/x", "/x/y", 200},
		{`/a`, "/b", "/a/a/c", "/b/b/c", "/a/a/c", 200},
		{`^/x`, "/y", "/a", "/a", "", 200},
		{`%2F`, "/", "/a%2Fb", "/a/b", "/a%2Fb", 200},
		{`^/a`, "/b?c", "/a", "/b%3Fc", "/a", 200},
		{`^/public(.*)`, "/v1/public$1", "/public../admin", "/v1/public../admin", "/public../admin", 200},
		{`^/public(.*)`, "/v1/$1", "/public../admin", "", "", 400},
		{`^/public(.*)`, "/v1/$1", "/public%2e%2e/admin", "", "", 400},
		{`2F`, "", "/a%2Fb", "", "", -1},
		{`2F`, "zz", "/a%2Fb", "/a%25zzb", "/a%2Fb", 200},
	} {
		m, err := replacepathregex.New(replacepathregex.Config{Regex: c.regex, Replacement: c.replacement})
		if c.status < 0 {
			if err == nil {
				t.Errorf("%q, %q is taken", c.regex, c.replacement)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		backend := &exchangetest.Backend{}
		r := exchangetest.Do(m(backend), exchangetest.Request("GET", c.target))
		if r.Status != c.status || backend.URI != c.want || backend.Get("X-Replaced-Path") != c.replaced {
			t.Errorf("%q: %d %q, X-Replaced-Path %q", c.target, r.Status, backend.URI, backend.Get("X-Replaced-Path"))
		}
	}
}
