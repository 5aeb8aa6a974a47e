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
		"/a%2fb":    "/a%2fb",
		"/a b?c#d":  "/a%20b%3Fc%23d",
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

func TestSetRefusesWhatAnEditBroke(t *testing.T) {
	for _, in := range []string{"/..", "/../a", "/a/./b", "/a/..", "../a", "/%2e%2E/a", "/.%2e/a", "/a%", "/a%2", "/%zz"} {
		x := exchangetest.Request("GET", "/old")
		err := pathedit.Set(&x.Request, []byte(in))
		if !errors.Is(err, exchange.BadRequest) || string(x.Request.Path) != "/old" {
			t.Errorf("%q: %v, path %q", in, err, x.Request.Path)
		}
	}
}

func TestEncode(t *testing.T) {
	if got := string(pathedit.Encode("/a b/%2f?")); got != "/a%20b/%2f%3F" {
		t.Errorf("%q", got)
	}
}
