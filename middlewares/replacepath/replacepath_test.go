package replacepath_test

import (
	"testing"

	"github.com/pergola-mesh/pergola/middlewares/replacepath"
	"github.com/pergola-mesh/pergola/proxy/exchange/exchangetest"
)

func TestReplacePath(t *testing.T) {
	m, err := replacepath.New(replacepath.Config{Path: "/new/path"})
	if err != nil {
		t.Fatal(err)
	}
	backend := &exchangetest.Backend{}
	exchangetest.Do(m(backend), exchangetest.Request("GET", "/old%2Fpath?x=1", "X-Replaced-Path: /forged", "x-replaced-path: /twice"))
	if backend.URI != "/new/path?x=1" || backend.Get("X-Replaced-Path") != "/old%2Fpath" || backend.Header.Len() != 1 {
		t.Errorf("%s, %s", backend.URI, backend.Header.AppendTo(nil))
	}
	if _, err := replacepath.New(replacepath.Config{}); err == nil {
		t.Error("an empty path is taken")
	}
}

func TestAllocatesNothing(t *testing.T) {
	m, _ := replacepath.New(replacepath.Config{Path: "/new"})
	exchangetest.AllocatesNothing(t, m, exchangetest.Request("GET", "/users/1"))
}
