package accesslog

import (
	"crypto/tls"
	"strconv"
	"strings"

	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/telemetry"
)

// appendValue appends the value of a field, escaped but without quotes; nothing when an optional
// field has none.
func (l *Log) appendValue(b []byte, id fieldID, e *entry) []byte {
	x := e.x
	r := &x.Record
	switch id {
	case clientAddr:
		return appendPeer(b, x.Conn)
	case clientHost:
		return appendClient(b, x)
	case clientPort:
		return strconv.AppendUint(b, uint64(x.Conn.Peer.Port()), 10)
	case clientUsername:
		if r.User == "" {
			return append(b, '-')
		}
		return appendJSON(b, r.User)
	case downstreamContentSize:
		return strconv.AppendInt(b, r.ResponseBytes, 10)
	case downstreamStatus:
		return strconv.AppendInt(b, int64(x.Response.Status), 10)
	case duration:
		return strconv.AppendInt(b, r.Duration, 10)
	case overhead:
		return strconv.AppendInt(b, r.Duration-r.UpstreamDuration, 10)
	case requestAddr:
		return appendJSON(b, x.Request.Host)
	case requestContentSize:
		return strconv.AppendInt(b, r.RequestBytes, 10)
	case requestCount:
		return strconv.AppendUint(b, e.count, 10)
	case requestHost:
		return appendJSON(b, x.Request.Hostname())
	case requestMethod:
		return appendJSON(b, x.Request.Method)
	case requestPath:
		return l.query.appendPath(b, &x.Request, appendJSON[[]byte])
	case requestPort:
		return appendHostPort(b, &x.Request)
	case requestProtocol:
		return append(b, x.Request.Proto.String()...)
	case requestScheme:
		return append(b, scheme(x)...)
	case retryAttempts:
		return strconv.AppendInt(b, int64(max(r.Attempts-1, 0)), 10)
	case startLocal:
		b = appendFraction(append(b, e.stamp.local...), e.nanos)
		return append(b, e.stamp.zone...)
	case startUTC:
		b = appendFraction(append(b, e.stamp.utc...), e.nanos)
		return append(b, 'Z')
	case entryPointName:
		return appendJSON(b, x.Conn.EntryPoint)
	}
	return appendOptional(b, id, x)
}

// appendOptional is appendValue for the fields that depend on what happened.
func appendOptional(b []byte, id fieldID, x *exchange.Exchange) []byte {
	r := &x.Record
	switch id {
	case routerName:
		return appendScope(b, r.Router)
	case serviceName:
		return appendScope(b, r.Service)
	case serviceURL:
		return appendScope(b, r.Endpoint)
	case serviceAddr:
		if r.Endpoint != nil {
			return appendJSON(b, authority(r.Endpoint.Name()))
		}
	case originContentSize:
		if r.UpstreamStatus != 0 {
			return strconv.AppendInt(b, r.UpstreamBytes, 10)
		}
	case originDuration:
		if r.UpstreamStatus != 0 {
			return strconv.AppendInt(b, r.UpstreamDuration, 10)
		}
	case originStatus:
		if r.UpstreamStatus != 0 {
			return strconv.AppendInt(b, int64(r.UpstreamStatus), 10)
		}
	case errorKind:
		if r.Failed {
			return append(b, r.Kind.Error()...)
		}
	case errorText:
		if r.Error != nil {
			return appendJSON(b, r.Error.Error())
		}
	case tlsCipher, tlsVersion, tlsClientSubject:
		if x.Conn.TLS != nil {
			return appendTLS(b, id, x.Conn.TLS)
		}
	}
	return b
}

func appendTLS(b []byte, id fieldID, s *tls.ConnectionState) []byte {
	switch {
	case id == tlsCipher:
		return append(b, tls.CipherSuiteName(s.CipherSuite)...)
	case id == tlsVersion:
		return append(b, telemetry.TLSVersion(s.Version)...)
	case len(s.PeerCertificates) > 0:
		return appendJSON(b, s.PeerCertificates[0].Subject.String())
	}
	return b
}

func appendScope(b []byte, s exchange.Scope) []byte {
	if s == nil {
		return b
	}
	return appendJSON(b, s.Name())
}

// appendPeer appends the address and port of the peer.
func appendPeer(b []byte, c *exchange.Conn) []byte {
	if c.Peer.Addr().Is4() && c.PeerText != "" {
		b = append(append(b, c.PeerText...), ':')
		return strconv.AppendUint(b, uint64(c.Peer.Port()), 10)
	}
	return c.Peer.AppendTo(b)
}

// appendClient appends the client's address, as the entry point resolved it.
func appendClient(b []byte, x *exchange.Exchange) []byte {
	if x.Client == x.Conn.Peer.Addr() && x.Conn.PeerText != "" {
		return append(b, x.Conn.PeerText...)
	}
	return x.Client.AppendTo(b)
}

// appendHostPort appends the port in Host, or "-".
func appendHostPort(b []byte, r *exchange.Request) []byte {
	host, n := r.Host, len(r.Hostname())
	if len(host) >= n+2 && host[0] == '[' {
		n += 2
	}
	if port := host[n:]; len(port) > 1 && port[0] == ':' {
		return appendJSON(b, port[1:])
	}
	return append(b, '-')
}

func scheme(x *exchange.Exchange) string {
	switch {
	case x.Request.Scheme == "http" || x.Request.Scheme == "https":
		return x.Request.Scheme
	case x.Conn.TLS != nil:
		return "https"
	}
	return "http"
}

// authority is the host and port of a URL.
func authority(url string) string {
	if i := strings.Index(url, "://"); i >= 0 {
		url = url[i+3:]
	}
	if i := strings.IndexByte(url, '/'); i >= 0 {
		url = url[:i]
	}
	return url
}
