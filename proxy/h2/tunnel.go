package h2

import (
	"crypto/rand"
	"crypto/sha1"
	"encoding/base64"
	"io"
	"sync"

	"github.com/pergola-mesh/pergola/proxy/exchange"
)

var (
	webSocketKey     = exchange.NewName("Sec-WebSocket-Key")
	webSocketAccept  = exchange.NewName("Sec-WebSocket-Accept")
	webSocketVersion = exchange.NewName("Sec-WebSocket-Version")
)

// offer makes a request for a WebSocket one that HTTP/1.1 knows, with a key. RFC 8441 §5.1.
func (s *downStream) offer() {
	r := &s.x.Request
	if !exchange.EqualFold(r.Upgrade, "websocket") {
		return
	}
	var nonce [16]byte
	rand.Read(nonce[:])
	base64.StdEncoding.Encode(s.key[:], nonce[:])
	r.Header.SetBytes(webSocketKey, s.key[:])
	if !r.Header.Has(webSocketVersion) {
		r.Header.Set(webSocketVersion, "13")
	}
}

// accepted reports whether a server that speaks HTTP/1.1 has answered our key. RFC 6455 §4.2.2.
func (s *downStream) accepted() bool {
	p := &s.x.Response
	if p.Proto == exchange.HTTP2 || p.Proto == exchange.HTTP3 || !exchange.EqualFold(s.x.Request.Upgrade, "websocket") {
		return true
	}
	sum := sha1.Sum(append(s.key[:len(s.key):len(s.key)], "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"...))
	return string(p.Header.Get(webSocketAccept)) == base64.StdEncoding.EncodeToString(sum[:])
}

// unfit says why the response that a handler has left cannot be sent; nil if it can.
func (s *downStream) unfit() error {
	p, upgrade := &s.x.Response, s.x.Request.Upgrade != nil
	switch {
	case p.Tunnel != nil && !upgrade:
		return exchange.Internal.Withf("a change of protocol that the client did not ask for")
	case p.Tunnel != nil && !s.accepted():
		return exchange.UpstreamProtocol.Withf("the server accepted a WebSocket without knowing its key")
	case p.Tunnel == nil && (p.Status < 200 || p.Status > 999):
		return exchange.Internal.Withf("the handler left a response with status %d", p.Status)
	case p.Tunnel == nil && upgrade && p.Status < 300:
		// To the client it would mean that the protocol has changed. RFC 8441 §4.
		return exchange.UpstreamProtocol.Withf("the server answered %d to a request to change protocol", p.Status)
	}
	return nil
}

// tunnel answers with a change of protocol and relays bytes both ways until both ends have closed.
// RFC 8441 §5.
func (s *downStream) tunnel() error {
	x, c := &s.x, s.c
	t := x.Response.Tunnel
	x.Response.Header.Del(webSocketAccept)
	if err := s.life.Bind(closer{t}); err != nil {
		return err
	}
	defer s.life.Bind(nil)
	c.mu.Lock()
	err := s.head(false)
	s.tunnelled = true
	if err != nil {
		c.mu.Unlock()
		return err
	}
	c.release()
	var up sync.WaitGroup
	up.Go(func() {
		if s.upward(t) == nil {
			t.CloseWrite()
		} else {
			t.Close()
		}
	})
	if err = s.downward(t); err != nil {
		t.Close()
		s.body.Close()
	} else {
		err = s.close()
		c.mu.Lock()
		c.release()
	}
	up.Wait()
	return err
}

// upward relays what the client sends.
func (s *downStream) upward(t exchange.Tunnel) error {
	for {
		p, err := s.body.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if _, err = t.Write(p); err != nil {
			return err
		}
	}
}

var relayBuffers = sync.Pool{New: func() any { return new([32 << 10]byte) }}

// downward relays what the server sends.
func (s *downStream) downward(t exchange.Tunnel) error {
	buf := relayBuffers.Get().(*[32 << 10]byte)
	defer relayBuffers.Put(buf)
	for {
		n, err := t.Read(buf[:])
		if n > 0 {
			s.c.mu.Lock()
			if err := s.write(buf[:n], false); err != nil {
				s.c.mu.Unlock()
				return err
			}
			s.c.release()
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return exchange.UpstreamReset.With(err)
		}
	}
}

// closer ends a tunnel, whatever either direction waits for.
type closer struct{ exchange.Tunnel }

// Cancel is exchange.Canceler.
func (t closer) Cancel(error) { t.Close() }
