//go:build linux

//lint:file-ignore SA1019 x/net/http2 is here because it is an engine of its own, not a way into net/http

package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// An idler is a connection that is there, and asks now and then.
type idler interface {
	// ask has one request answered.
	ask() error
	io.Closer
}

// askTime is how long an answer may take.
const askTime = 5 * time.Second

// openIdle opens a connection of HTTP/1.1, over TLS if the instance speaks that, and has one request answered
// on it.
func openIdle(i *instance, n int) (idler, error) {
	conn, err := dialFrom(n, i.Port)
	if err != nil {
		return nil, err
	}
	return asked(idler1{i.secured(conn)})
}

// openIdleHTTP2 is openIdle of HTTP/2 in plaintext.
func openIdleHTTP2(i *instance, n int) (idler, error) {
	conn, err := dialFrom(n, i.http2())
	if err != nil {
		return nil, err
	}
	c := &idler2{Conn: conn, framer: http2.NewFramer(conn, conn)}
	c.framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	io.WriteString(conn, http2.ClientPreface) // what comes of an error the answer tells
	c.framer.WriteSettings()
	return asked(c)
}

// dialFrom connects to a port. The source addresses change, as a proxy may limit connections per client and
// a pair of addresses has only so many ports.
func dialFrom(n, port int) (net.Conn, error) {
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(1+n%50))}, Timeout: askTime, KeepAlive: -1}
	return dialer.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
}

func asked(c idler) (idler, error) {
	if err := c.ask(); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// idler1 speaks HTTP/1.1.
type idler1 struct{ net.Conn }

func (c idler1) ask() error {
	c.SetDeadline(time.Now().Add(askTime))
	if _, err := fmt.Fprintf(c, "GET /api/128 HTTP/1.1\r\nHost: %s\r\n\r\n", host); err != nil {
		return err
	}
	return readAnswer(c)
}

// idler2 speaks HTTP/2.
type idler2 struct {
	net.Conn
	framer *http2.Framer
	last   uint32 // stream
}

func (c *idler2) ask() error {
	c.SetDeadline(time.Now().Add(askTime))
	c.last += 1 + c.last%2 // 1, 3, 5 …
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	for _, f := range [][2]string{{":method", "GET"}, {":scheme", "http"}, {":authority", host}, {":path", "/api/128"}, {"user-agent", "bench"}} {
		encoder.WriteField(hpack.HeaderField{Name: f[0], Value: f[1], Sensitive: c.last > 1}) // this encoder has no past
	}
	err := c.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: c.last, BlockFragment: block.Bytes(), EndStream: true, EndHeaders: true})
	for size := 0; err == nil; {
		var f http2.Frame
		if f, err = c.framer.ReadFrame(); err != nil {
			break
		}
		switch f := f.(type) {
		case *http2.SettingsFrame:
			if !f.IsAck() {
				err = c.framer.WriteSettingsAck()
			}
		case *http2.MetaHeadersFrame:
			if status := f.PseudoValue("status"); status != "200" {
				err = fmt.Errorf("it was answered with status %q", status)
			}
		case *http2.DataFrame:
			if size += len(f.Data()); f.StreamEnded() {
				if size != len(smallBody) {
					return fmt.Errorf("the answer has %d bytes", size)
				}
				return nil
			}
		case *http2.PingFrame:
			if !f.IsAck() {
				err = c.framer.WritePing(true, f.Data)
			}
		case *http2.GoAwayFrame:
			err = fmt.Errorf("the connection was ended: %v", f.ErrCode)
		case *http2.RSTStreamFrame:
			err = fmt.Errorf("the request was reset: %v", f.ErrCode)
		}
	}
	return err
}
