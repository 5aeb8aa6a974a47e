package postgres

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
)

// The messages that matter here.
const (
	protocolVersion = 3 << 16
	authentication  = 'R'
	errorResponse   = 'E'
	headerSize      = 5
	// maxMessage is the longest that is waited for, in bytes.
	maxMessage = 64 << 10
)

// terminate is how a client that is logged in takes its leave.
var terminate = []byte{'X', 0, 0, 0, 4}

// Ready tells why a server takes no logins; nil when it does. It begins to log in as user, without a
// password: that the server asks for one is as good an answer as that it knows no such user. The connection
// is of no further use.
func Ready(server io.ReadWriter, user string) error {
	if _, err := server.Write(appendStartup(nil, user)); err != nil {
		return err
	}
	kind, body, err := read(server)
	switch {
	case err != nil:
		return err
	case kind == authentication && len(body) >= 4:
		if binary.BigEndian.Uint32(body) == 0 { // it is logged in; else the server waits, and takes the end in silence
			server.Write(terminate)
			io.Copy(io.Discard, io.LimitReader(server, maxMessage)) // for a server that is reset writes that to its log
		}
		return nil
	case kind == errorResponse:
		return refusal(body)
	}
	return fmt.Errorf("postgres: the server answers a login with a message of type %q", kind)
}

// appendStartup appends a StartupMessage.
func appendStartup(b []byte, user string) []byte {
	at := len(b)
	b = append(b, 0, 0, 0, 0)
	b = binary.BigEndian.AppendUint32(b, protocolVersion)
	for _, text := range []string{"user", user, "database", "postgres"} {
		b = append(append(b, text...), 0)
	}
	b = append(b, 0)
	binary.BigEndian.PutUint32(b[at:], uint32(len(b)-at))
	return b
}

// read reads a message.
func read(r io.Reader) (kind byte, body []byte, err error) {
	var head [headerSize]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, nil, err
	}
	size := binary.BigEndian.Uint32(head[1:])
	if size < 4 || size > maxMessage {
		return 0, nil, fmt.Errorf("postgres: a message of %d bytes", size)
	}
	var content bytes.Buffer // grows as it arrives, not as it is announced
	if _, err := io.CopyN(&content, r, int64(size-4)); err != nil {
		return 0, nil, err
	}
	return head[0], content.Bytes(), nil
}

// refusal is what an ErrorResponse says of a server's health; nil when it is about the user or the database.
func refusal(body []byte) error {
	var code, message string
	for _, field := range strings.Split(string(body), "\x00") {
		switch {
		case strings.HasPrefix(field, "C"):
			code = field[1:]
		case strings.HasPrefix(field, "M"):
			message = field[1:]
		}
	}
	const (
		authorization = "28"    // a class
		noDatabase    = "3D000" // invalid_catalog_name
	)
	switch {
	case strings.HasPrefix(code, authorization), code == noDatabase:
		return nil
	case code == "":
		return errors.New("postgres: an error without a code")
	}
	return fmt.Errorf("postgres: the server takes no logins: %.200s (%.5s)", message, code)
}
