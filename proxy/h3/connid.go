package h3

import (
	"crypto/rand"

	"github.com/quic-go/quic-go"
)

// connectionIDs makes identifiers that begin with the tag of the process; the rest is random.
// RFC 9000 §5.1.
type connectionIDs struct{ tag [4]byte }

// ConnectionIDBytes is the length of every connection's identifiers.
const ConnectionIDBytes = 12

// GenerateConnectionID is quic.ConnectionIDGenerator.
func (g connectionIDs) GenerateConnectionID() (quic.ConnectionID, error) {
	var id [ConnectionIDBytes]byte
	rand.Read(id[copy(id[:], g.tag[:]):])
	return quic.ConnectionIDFromBytes(id[:]), nil
}

// ConnectionIDLen is quic.ConnectionIDGenerator.
func (connectionIDs) ConnectionIDLen() int { return ConnectionIDBytes }
