package h2

import (
	"github.com/pergola-mesh/pergola/proxy/h2/frame"
	"github.com/pergola-mesh/pergola/proxy/h2/hpack"
)

type greeting uint8

const (
	nothing  greeting = iota
	preface           // the preface has come
	settings          // and SETTINGS
)

// greet sends what a server begins with. RFC 9113 §3.4.
func (c *downConn) greet() {
	c.mu.Lock()
	defer c.mu.Unlock()
	b := c.output()
	s := []frame.Setting{
		{ID: frame.MaxConcurrentStreams, Value: uint32(c.srv.maxStreams())},
		{ID: frame.InitialWindowSize, Value: streamWindow},
		{ID: frame.MaxHeaderListSize, Value: uint32(c.srv.Limits.HeaderBytes)},
		{ID: frame.EnableConnectProtocol, Value: 1},
	}
	if n := c.srv.decoderTable(); n != hpack.DefaultTableSize {
		s = append(s, frame.Setting{ID: frame.HeaderTableSize, Value: uint32(n)})
	}
	b.p = frame.AppendSettings(b.p, s...)
	b.p = frame.AppendWindowUpdate(b.p, 0, connWindow-frame.InitialWindow)
}

// preface takes the client's preface; false when it has not all come.
func (c *downConn) preface() (bool, *frame.Error) {
	n := min(c.w-c.r, len(frame.Preface))
	if string(c.in[c.r:c.r+n]) != frame.Preface[:n] {
		return false, ruleGreeting
	}
	if n < len(frame.Preface) {
		return false, nil
	}
	c.r += n
	c.greeted = preface
	return true, nil
}
