package listen

import (
	"crypto/tls"
	"errors"

	"github.com/pergola-mesh/pergola/proxy/exchange"
)

// DialKind tells what kind of failure it was that a connection to a server was not made: the one that
// err carries, if it does.
func DialKind(err error) exchange.Kind {
	if k := exchange.KindOf(err); k != exchange.Internal {
		return k
	}
	var certificate *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var alert tls.AlertError
	if errors.As(err, &certificate) || errors.As(err, &record) || errors.As(err, &alert) {
		return exchange.UpstreamTLS
	}
	var timeout interface{ Timeout() bool }
	if errors.As(err, &timeout) && timeout.Timeout() {
		return exchange.DialTimeout
	}
	return exchange.DialFailed
}
