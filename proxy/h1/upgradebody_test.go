package h1

import (
	"io"
	"strings"
	"testing"

	"github.com/pergola-mesh/pergola/internal/waittest"
	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/exchange/exchangetest"
)

const changeWithBody = "POST / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: echo\r\nContent-Length: "

// only is the record of the one request there was.
func only(r *rig) exchange.Record {
	r.t.Helper()
	waittest.Until(r.t, "the request to end", func() bool { return len(r.records()) == 1 })
	return r.records()[0]
}

// A server that agrees to another protocol before it has the whole request gets the rest of it first.
func TestUpgradeAwaitsTheBody(t *testing.T) {
	r := newRig(t, nil, changing)
	c := r.dial()
	io.WriteString(c, changeWithBody+"6\r\n\r\nabc")
	waittest.Until(t, "the server to be asked", func() bool { return r.connections() == 1 })
	io.WriteString(c, "def, and more")
	c.CloseWrite()
	out, err := io.ReadAll(c)
	if err != nil || !strings.HasPrefix(string(out), "HTTP/1.1 101 ") || !strings.HasSuffix(string(out), "\r\n\r\nabcdef, and more") {
		t.Errorf("%v %q", err, out)
	}
	if rec := only(r); rec.RequestBytes != 16 || rec.ResponseBytes != 16 || rec.Failed {
		t.Errorf("%+v", rec)
	}
}

// A client that breaks off within its request's body has changed nothing, whatever the server says.
func TestUpgradeOfHalfARequest(t *testing.T) {
	r := newRig(t, nil, changing)
	c := r.dial()
	io.WriteString(c, changeWithBody+"6\r\n\r\nabc")
	waittest.Until(t, "the server to be asked", func() bool { return r.connections() == 1 })
	c.CloseWrite()
	if out, _ := io.ReadAll(c); strings.Contains(string(out), " 101 ") {
		t.Errorf("%q", out)
	}
	if rec := only(r); !rec.Failed {
		t.Errorf("%+v", rec)
	}
}

// A handler of ours that leaves a long body unread has no tunnel: nobody knows where that begins.
func TestUpgradeWithoutReadingTheBody(t *testing.T) {
	r := newRig(t, exchange.HandlerFunc(func(x *exchange.Exchange) error {
		x.Response.Status, x.Response.Tunnel = 101, exchangetest.NewSilent()
		return nil
	}), nil)
	c := r.dial()
	io.WriteString(c, changeWithBody+"1000000\r\n\r\nabc")
	if out, _ := io.ReadAll(c); len(out) > 0 {
		t.Errorf("%q", out)
	}
	if rec := only(r); !rec.Failed || rec.Kind != exchange.BadRequest {
		t.Errorf("%+v", rec)
	}
}
