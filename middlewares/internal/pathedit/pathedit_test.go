package pathedit_test

import (
	"errors"
	"testing"

	"github.com/pergola-mesh/pergola/middlewares/internal/pathedit"
	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/exchange/exchangetest"
)

func TestSet(t *testing.T) {
	for in, want := range map[string]string{
		"/a/b":      "/a/b",
		"":          "/",
		"a":         "/a",
		"/a//b":     "/a/b",
		"//a":       "/a",
		"/a%2Fb":    "/a%2Fb",
		"/a%2fb":    "/a%2Fb",
		"/a b?c#d":  "/a%20b%3Fc%23d",
		"/a%zz":     "/a%25zz",
		"/é":        "/%C3%A9",
		"/.well":    "/.well",
		"/a.../..b": "/a.../..b",
	} {
		x := exchangetest.Request("GET", "/")
		if err := pathedit.Set(&x.Request, []byte(in)); err != nil || string(x.Request.Path) != want {
			t.Errorf("%q: %q, %v; want %q", in, x.Request.Path, err, want)
		}
	}
}

func TestSetRefusesNewDots(t *testing.T) {
	for _, in := range []string{"/..", "/../a", "/a/./b", "/a/..", "../a", "/%2e%2E/a", "/.%2e/a", "//../a"} {
		x := exchangetest.Request("GET", "/old")
		err := pathedit.Set(&x.Request, []byte(in))
		if !errors.Is(err, exchange.BadRequest) || string(x.Request.Path) != "/old" {
			t.Errorf("%q: %v, path %q", in, err, x.Request.Path)
		}
	}
}

// An entry point with sanitizePath off lets segments through that an edit has no business to change.
func TestSetKeepsWhatTheEntryPointKept(t *testing.T) {
	x := exchangetest.Request("GET", "/a//b/../c")
	if err := pathedit.Set(&x.Request, []byte("/x"), x.Request.Path); err != nil || string(x.Request.Path) != "/x/a//b/../c" {
		t.Errorf("%q, %v", x.Request.Path, err)
	}
}

func TestCut(t *testing.T) {
	for n, want := range []string{"/a%2Fb", "/a%2Fb", "/%2Fb", "", "", "/b", "/"} {
		x := exchangetest.Request("GET", "/a%2Fb")
		err := pathedit.Cut(&x.Request, n)
		if want == "" && (!errors.Is(err, exchange.BadRequest) || string(x.Request.Path) != "/a%2Fb") {
			t.Errorf("%d: %v, %q", n, err, x.Request.Path)
		}
		if want != "" && (err != nil || string(x.Request.Path) != want) {
			t.Errorf("%d: %v, %q, want %q", n, err, x.Request.Path, want)
		}
	}
}
