package app

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/pergola-mesh/pergola/internal/certtest"
	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/exchange/exchangetest"
	"github.com/pergola-mesh/pergola/proxy/upstream"
)

// tlsServer answers with the version of HTTP that it is asked in, or changes protocol.
func tlsServer(t *testing.T, http2 bool) (key upstream.PoolKey, conns *atomic.Int32) {
	conns = &atomic.Int32{}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") == "" {
			body, _ := io.ReadAll(r.Body)
			fmt.Fprintf(w, "%s %s", r.Proto, body)
			return
		}
		c, rw, _ := w.(http.Hijacker).Hijack()
		defer c.Close()
		rw.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n" + r.Proto + "\n")
		rw.Flush()
	}))
	s.EnableHTTP2 = http2
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			conns.Add(1)
		}
	}
	s.StartTLS()
	t.Cleanup(s.Close)
	ca := string(certtest.CertificatePEM(s.Certificate()))
	return upstream.PoolKey{URL: s.URL, Transport: &upstream.Transport{TLS: upstream.TLS{RootCAs: []string{ca}, ServerName: "example.com"}}}, conns
}

func askServer(h exchange.Handler, x *exchange.Exchange) (string, error) {
	defer x.Free()
	defer x.Response.Close()
	if err := h.Handle(x); err != nil {
		return "", err
	}
	body, err := exchangetest.ReadAll(nil, x.Response.Body, 1<<20)
	return string(body), err
}

// TestEither: the server chooses the version, and no connection is wasted on finding out.
func TestEither(t *testing.T) {
	for _, c := range []struct {
		name           string
		http2, disable bool
		want           string
	}{
		{"both", true, false, "HTTP/2.0"},
		{"HTTP/1.1 alone", false, false, "HTTP/1.1"},
		{"HTTP/2 not offered", true, true, "HTTP/1.1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			key, conns := tlsServer(t, c.http2)
			key.Transport.DisableHTTP2 = c.disable
			h, closer := pools{}.Pool(key)
			defer closer.Close()
			for _, x := range []*exchange.Exchange{exchangetest.Request("GET", "/"), exchangetest.Request("POST", "/", []byte("body")),
				exchangetest.Request("POST", "/", exchangetest.Pieces("bo", "dy"))} {
				got, err := askServer(h, x)
				if err != nil || !strings.HasPrefix(got, c.want) {
					t.Fatal(got, err)
				}
			}
			if n := conns.Load(); n != 1 {
				t.Errorf("%d connections", n)
			}
		})
	}
}

// TestEitherAtOnce: many that begin at once share what one of them found out.
func TestEitherAtOnce(t *testing.T) {
	for _, http2 := range []bool{false, true} {
		key, conns := tlsServer(t, http2)
		h, closer := pools{}.Pool(key)
		var all sync.WaitGroup
		for range 30 {
			all.Go(func() {
				if got, err := askServer(h, exchangetest.Request("POST", "/", []byte("x"))); err != nil {
					t.Error(got, err)
				}
			})
		}
		all.Wait()
		if n := conns.Load(); http2 && n > 2 {
			t.Errorf("%d connections", n)
		}
		if err := closer.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestEitherUpgrades: a change of protocol is asked for in HTTP/1.1, whatever else the server speaks.
func TestEitherUpgrades(t *testing.T) {
	key, _ := tlsServer(t, true)
	h, closer := pools{}.Pool(key)
	defer closer.Close()
	if got, err := askServer(h, exchangetest.Request("GET", "/")); err != nil || got != "HTTP/2.0 " {
		t.Fatal(got, err)
	}
	x := exchangetest.Request("GET", "/", "Upgrade: echo")
	defer x.Free()
	defer x.Response.Close()
	if err := h.Handle(x); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(x.Response.Tunnel).ReadString('\n'); err != nil || line != "HTTP/1.1\n" {
		t.Fatal(line, err)
	}
}

// TestPriorKnowledge: an h2c URL is HTTP/2 at once, and says what is wrong where it is not.
func TestPriorKnowledge(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %s %s", r.Proto, r.Host, r.URL)
	}))
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Start()
	defer s.Close()
	url := strings.Replace(s.URL, "http:", "h2c:", 1)
	h, closer := pools{}.Pool(upstream.PoolKey{URL: url + "/base", PreservePath: true, Transport: &upstream.Transport{}})
	defer closer.Close()
	want := "HTTP/2.0 " + strings.TrimPrefix(s.URL, "http://") + " /base/p"
	if got, err := askServer(h, exchangetest.Request("GET", "http://client.test/p")); err != nil || got != want {
		t.Fatal(got, err)
	}
	old := httptest.NewServer(http.NotFoundHandler())
	defer old.Close()
	h, closer = pools{}.Pool(upstream.PoolKey{URL: strings.Replace(old.URL, "http:", "h2c:", 1), Transport: &upstream.Transport{}})
	defer closer.Close()
	if _, err := askServer(h, exchangetest.Request("GET", "/")); exchange.KindOf(err) != exchange.UpstreamProtocol || !strings.Contains(err.Error(), "use http://") {
		t.Fatal(err)
	}
}
