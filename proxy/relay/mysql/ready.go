package mysql

import (
	"errors"
	"io"
	"strings"
)

// quit is the command by which a client that is logged in takes its leave.
const quit = 0x01

// maxSwitches bounds how often a server may have a login go on.
const maxSwitches = 3

// Visitor is the login by which Ready asks, as user without a password.
func Visitor(user string) *Login {
	return &Login{Capabilities: LongPassword | Protocol41 | SecureConnection | PluginAuth, MaxPacket: maxPacketSize, Charset: utf8mb4, User: []byte(user)}
}

// Ready tells why a server, which has greeted with g, takes no logins; nil when it does. It tries to log in as a
// Visitor: that the server does not let it in is as good an answer. To leave without a login is what servers
// count, and block hosts for (max_connect_errors); a login that is denied they do not. The connection is of no
// further use.
func Ready(server *Conn, visitor *Login, g *Greeting, secure bool) error {
	to, err := visitor.Adapt(g, secure)
	if err != nil {
		return err
	}
	to.Plugin = []byte(NativePassword)
	if err := server.Send(to.Append(nil)); err != nil {
		return err
	}
	for range maxSwitches {
		p, err := server.Next()
		switch {
		case err != nil:
			return err
		case len(p) == 0:
			return malformed("an empty answer to a login")
		case p[0] == okPacket:
			server.Sequence = 0
			server.Send([]byte{quit})
			io.Copy(io.Discard, io.LimitReader(server, MaxPacket)) // for a server that is reset counts that
			return nil
		case p[0] == errorPacket:
			return refusal(ParseError(p))
		}
		if err := server.Send(nil); err != nil { // there is no password, whatever the plugin
			return err
		}
	}
	return malformed("a login that comes to no end")
}

// refusal is what a server's error says of its health; nil when it is about the user.
func refusal(err error) error {
	const authorization = "28" // a class of states
	var told *Error
	if errors.As(err, &told) && strings.HasPrefix(told.State, authorization) {
		return nil
	}
	return err
}
