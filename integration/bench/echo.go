//go:build linux

//lint:file-ignore SA1019 x/net/http2 is here because it is an engine of its own, not a way into net/http

package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// echoCommand is the argument that makes this program the backend of gRPC and WebSocket: one that costs
// little, so that the proxy is what is busy.
const echoCommand = "echo"

// serveEcho listens on an address, and speaks HTTP/2 to whoever begins with its preface, HTTP/1.1 to others.
func serveEcho(address string) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	http1 := &handedOver{conns: make(chan net.Conn), address: listener.Addr()}
	go http.Serve(http1, http.HandlerFunc(serveWebSocket))
	for {
		conn, err := listener.Accept()
		if err != nil {
			return err
		}
		go func() {
			reader := bufio.NewReaderSize(conn, 64<<10)
			if first, _ := reader.Peek(3); string(first) == http2.ClientPreface[:3] {
				defer conn.Close()
				newGRPCConn(conn, reader).serve()
				return
			}
			http1.conns <- begun{conn, reader}
		}()
	}
}

// handedOver is a listener of connections that another accepted.
type handedOver struct {
	conns   chan net.Conn
	address net.Addr
}

func (l *handedOver) Accept() (net.Conn, error) { return <-l.conns, nil }
func (l *handedOver) Addr() net.Addr            { return l.address }
func (l *handedOver) Close() error              { return nil }

// begun is a connection of which something has been read.
type begun struct {
	net.Conn
	reader *bufio.Reader
}

func (c begun) Read(p []byte) (int, error) { return c.reader.Read(p) }

// grpcConn is a client's connection. One goroutine reads it and answers: all answers to what came in one
// read leave in one write.
type grpcConn struct {
	reader  *bufio.Reader
	writer  *bufio.Writer
	framer  *http2.Framer
	decoder *hpack.Decoder
	encoder *hpack.Encoder
	block   bytes.Buffer // the header block being encoded
	streams map[uint32]*grpcCall
	current *grpcCall // whose header block is being decoded
	waiting []*grpcCall
	window  int // how much data the client takes
	taken   int // how much of its data it may send again
}

// grpcCall is a call whose answer has not been sent.
type grpcCall struct {
	stream uint32
	fields map[string]string
	body   []byte
}

// maxFrame is the largest payload that everybody takes. RFC 9113 §4.2.
const maxFrame = 16 << 10

// creditSize is how much data a client may send until it is told that it may go on.
const creditSize = 1 << 30

func newGRPCConn(conn net.Conn, reader *bufio.Reader) *grpcConn {
	c := &grpcConn{reader: reader, writer: bufio.NewWriterSize(conn, 64<<10), streams: map[uint32]*grpcCall{}, window: 65535}
	c.framer = http2.NewFramer(c.writer, reader)
	c.framer.SetReuseFrames()
	c.encoder = hpack.NewEncoder(&c.block)
	c.decoder = hpack.NewDecoder(4096, func(f hpack.HeaderField) {
		if f.Name == ":path" || strings.HasPrefix(f.Name, "x-") {
			c.current.fields[f.Name] = f.Value
		}
	})
	return c
}

// serve answers calls until the connection ends.
func (c *grpcConn) serve() error {
	if _, err := io.ReadFull(c.reader, make([]byte, len(http2.ClientPreface))); err != nil {
		return err
	}
	c.framer.WriteSettings(http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: 1000})
	c.framer.WriteWindowUpdate(0, creditSize)
	for {
		if c.reader.Buffered() == 0 {
			if err := c.writer.Flush(); err != nil {
				return err
			}
		}
		f, err := c.framer.ReadFrame()
		if err != nil {
			return err
		}
		if err := c.handle(f); err != nil {
			return err
		}
	}
}

func (c *grpcConn) handle(f http2.Frame) error {
	switch f := f.(type) {
	case *http2.HeadersFrame:
		if !f.HeadersEnded() {
			return fmt.Errorf("a header block of more than one frame")
		}
		call := &grpcCall{stream: f.StreamID, fields: map[string]string{}}
		c.current = call
		if _, err := c.decoder.Write(f.HeaderBlockFragment()); err != nil {
			return err
		}
		c.streams[f.StreamID] = call
		if f.StreamEnded() {
			c.ended(call)
		}
	case *http2.DataFrame:
		if c.taken += int(f.Length); c.taken >= creditSize/2 {
			c.framer.WriteWindowUpdate(0, uint32(c.taken))
			c.taken = 0
		}
		if call := c.streams[f.StreamID]; call != nil {
			call.body = append(call.body, f.Data()...)
			if f.StreamEnded() {
				c.ended(call)
			}
		}
	case *http2.RSTStreamFrame:
		delete(c.streams, f.StreamID)
	case *http2.SettingsFrame:
		if f.IsAck() {
			return nil
		}
		if size, ok := f.Value(http2.SettingHeaderTableSize); ok { // nginx keeps no table
			c.encoder.SetMaxDynamicTableSize(min(size, 4096))
		}
		return c.framer.WriteSettingsAck()
	case *http2.PingFrame:
		if !f.IsAck() {
			return c.framer.WritePing(true, f.Data)
		}
	case *http2.WindowUpdateFrame:
		if f.StreamID == 0 { // those of streams are larger than any message
			c.window += int(f.Increment)
			c.answer()
		}
	}
	return nil
}

// ended takes the end of what a client sends.
func (c *grpcConn) ended(call *grpcCall) {
	delete(c.streams, call.stream)
	if call.fields[":path"] == forwardedPath {
		call.body = frameMessage([]byte(forwardedText(func(name string) string { return call.fields[strings.ToLower(name)] })))
	}
	c.waiting = append(c.waiting, call)
	c.answer()
}

// answer sends the answers for which there is window.
func (c *grpcConn) answer() {
	for len(c.waiting) > 0 && len(c.waiting[0].body) <= c.window {
		call := c.waiting[0]
		c.waiting = c.waiting[1:]
		c.window -= len(call.body)
		c.header(call.stream, false, hpack.HeaderField{Name: ":status", Value: "200"}, hpack.HeaderField{Name: "content-type", Value: "application/grpc"})
		for piece := range slices.Chunk(call.body, maxFrame) {
			c.framer.WriteData(call.stream, false, piece)
		}
		c.header(call.stream, true, hpack.HeaderField{Name: "grpc-status", Value: "0"})
	}
}

func (c *grpcConn) header(stream uint32, ends bool, fields ...hpack.HeaderField) {
	c.block.Reset()
	for _, f := range fields {
		c.encoder.WriteField(f)
	}
	c.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: c.block.Bytes(), EndStream: ends, EndHeaders: true})
}
