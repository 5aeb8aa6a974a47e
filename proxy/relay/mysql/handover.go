package mysql

import (
	"bytes"
	"errors"
	"fmt"
	"os"
)

// Handover has a client that was greeted by us log in to its server.
//
// A client proves its password with the scramble that it was greeted with, which is not the server's. So
// the server is shown a login by a plugin that no user has: it answers with a request to switch to the
// user's own, with its own scramble, and that is passed on to the client. Clients take one such request and
// not a second, so it has to be this one. From there on the packets of both are passed on, under the
// numbers that each side counts, until the server has said yes or no.
//
// A client that is protected by TLS gives some plugins its password as it is, where the server expects it
// to be encrypted when there is no TLS on its side. It is encrypted then, with the server's key.
type Handover struct {
	Client, Server *Conn
	// ClientSecure and ServerSecure tell whether there is TLS on each side.
	ClientSecure, ServerSecure bool
	// Interrupt makes the reads that wait on both sides fail with os.ErrDeadlineExceeded, which is not to
	// break the connections.
	Interrupt func()
	// Passed is told of the payload of every packet from (received) or to the client; nil for nobody.
	Passed func(received bool, size int)

	plugin   string // that the client was last told to use
	scramble []byte // for that
	awaited  bool   // the client's next packet is its password
	password []byte // to be encrypted once the server's key is here
	asked    bool   // the client has the last word of the server, and is to answer if anybody is

	fromClient, fromServer chan turn
	reading                [2]bool // whether a read of each is under way
}

// turn is what a read came to.
type turn struct {
	p   Packet
	err error
}

// switchPlease is a plugin that no user has.
const switchPlease = "pergola_switch_please"

// A Fault is an error of one of the sides.
type Fault struct {
	Client bool // else it is the server
	Err    error
}

// Error tells the side.
func (f *Fault) Error() string {
	if f.Client {
		return "mysql client: " + f.Err.Error()
	}
	return "mysql server: " + f.Err.Error()
}

// Unwrap is the error itself.
func (f *Fault) Unwrap() error { return f.Err }

func ofClient(err error) error { return &Fault{true, err} }
func ofServer(err error) error { return &Fault{false, err} }

// Run passes on what l needs until the server has answered it, be it with an error, and returns that
// answer, which is still to be sent to the client. Nothing is being read then; reads that were waiting have
// been interrupted. The error is a *Fault, or an *Error that is to be told to the client.
func (h *Handover) Run(l *Login, g *Greeting) ([]byte, error) {
	if !l.Capabilities.has(PluginAuth) {
		return nil, NewError(AuthNotSupported, "The client cannot be told how the server authenticates (CLIENT_PLUGIN_AUTH); use a newer one")
	}
	to, err := l.Adapt(g, h.ServerSecure)
	if err != nil {
		return nil, err
	}
	if to.Capabilities.has(PluginAuth) {
		to.Plugin = []byte(switchPlease)
		if len(l.Proof) > 0 { // servers tell of a login that came without a password
			to.Proof = make([]byte, scrambleSize)
		}
	} else if to.Proof, err = h.prove(g); err != nil {
		return nil, err
	}
	if err := h.Server.Send(to.Append(nil)); err != nil {
		return nil, ofServer(err)
	}
	h.fromClient, h.fromServer = make(chan turn, 1), make(chan turn, 1)
	defer h.settle()
	return h.pass()
}

// prove has the client prove its password to a server of before there were plugins.
func (h *Handover) prove(g *Greeting) ([]byte, error) {
	ask := append(appendText([]byte{switchPacket}, NativePassword), g.Scramble...)
	if err := h.toClient(append(ask, 0)); err != nil {
		return nil, err
	}
	proof, err := h.Client.Next()
	if err != nil {
		return nil, ofClient(err)
	}
	h.passed(true, proof)
	if len(proof) > 0xff {
		return nil, ofClient(malformed("a proof of %d bytes", len(proof)))
	}
	return proof, nil
}

// pass passes packets on until the server's answer.
func (h *Handover) pass() (answer []byte, err error) {
	for {
		h.ask(0, h.Client, h.fromClient)
		h.ask(1, h.Server, h.fromServer)
		select {
		case t := <-h.fromClient:
			h.reading[0] = false
			p, err := h.Client.take(t.p, t.err)
			if err != nil {
				return nil, h.late(err, true)
			}
			h.passed(true, p)
			if err := h.ofClient(p); err != nil {
				return nil, err
			}
		case t := <-h.fromServer:
			h.reading[1] = false
			p, err := h.Server.take(t.p, t.err)
			if err != nil {
				return nil, h.late(err, false)
			}
			if len(p) > 0 && (p[0] == okPacket || p[0] == errorPacket) {
				return p, h.quiet()
			}
			if err := h.ofServer(p); err != nil {
				return nil, err
			}
		}
	}
}

// late is the error of a side. Both have the same time: when it is over, the one is to blame that was waited
// for.
func (h *Handover) late(err error, client bool) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		client = h.asked
	}
	return &Fault{client, err}
}

// ask has a side's next packet read, unless that is under way.
func (h *Handover) ask(i int, c *Conn, to chan turn) {
	if h.reading[i] {
		return
	}
	h.reading[i] = true
	go func() {
		p, err := Read(c.ReadWriter)
		to <- turn{p, err}
	}()
}

// quiet ends the read of a client that waits for the server's answer. One that has said something since
// spoke out of turn.
func (h *Handover) quiet() error {
	t, reading := h.interrupt()
	switch {
	case !reading:
		return nil
	case t.err == nil || errors.Is(t.err, errMidway) || errors.Is(t.err, ErrMalformed):
		return ofClient(malformed("something was said before the server had answered"))
	case errors.Is(t.err, os.ErrDeadlineExceeded):
		return nil
	}
	return ofClient(t.err)
}

// settle ends all reads.
func (h *Handover) settle() {
	h.interrupt()
	if h.reading[1] {
		<-h.fromServer
		h.reading[1] = false
	}
}

// interrupt ends the read of the client, and returns what came of it.
func (h *Handover) interrupt() (t turn, reading bool) {
	if h.reading[0] || h.reading[1] {
		h.Interrupt()
	}
	if reading = h.reading[0]; reading {
		t = <-h.fromClient
		h.reading[0] = false
	}
	return t, reading
}

// ofServer passes a packet of the server on.
func (h *Handover) ofServer(p []byte) error {
	if h.password != nil {
		return h.encrypt(p)
	}
	switch {
	case len(p) > 1 && p[0] == switchPacket:
		r := reader{b: p[1:]}
		h.plugin = string(r.lastText())
		h.scramble = bytes.TrimSuffix(r.b, []byte{0})
		h.awaited = h.plugin == SHA256Password
	case len(p) == 2 && p[0] == morePacket && p[1] == fullAuthentication && h.plugin == CachingSHA2Password:
		h.awaited = true
	}
	h.asked = true
	return h.toClient(p)
}

// ofClient passes a packet of the client on.
func (h *Handover) ofClient(p []byte) error {
	h.asked = false
	if h.awaited {
		h.awaited = false
		switch {
		case len(p) == 0 || p[0] == 0: // there is none
		case h.ClientSecure && !h.ServerSecure:
			h.password = p
			p = []byte{keyRequests[h.plugin]}
		case !h.ClientSecure && h.ServerSecure:
			return NewError(TLSRequired, "%s wants the password, which the gateway would give the server over TLS: connect with TLS", h.plugin)
		}
	}
	if err := h.Server.Send(p); err != nil {
		return ofServer(err)
	}
	return nil
}

func (h *Handover) toClient(p []byte) error {
	h.passed(false, p)
	if err := h.Client.Send(p); err != nil {
		return ofClient(err)
	}
	return nil
}

func (h *Handover) passed(received bool, p []byte) {
	if h.Passed != nil {
		h.Passed(received, HeaderSize+len(p))
	}
}

// encrypt sends the server the password, with the key that the server has sent.
func (h *Handover) encrypt(p []byte) error {
	if len(p) == 0 || p[0] != morePacket {
		return ofServer(malformed("no key follows the request for it"))
	}
	secret, err := encryptPassword(h.password, h.scramble, p[1:])
	clear(h.password)
	h.password = nil
	if err != nil {
		return ofServer(fmt.Errorf("%s: %w", h.plugin, err))
	}
	if err := h.Server.Send(secret); err != nil {
		return ofServer(err)
	}
	return nil
}
