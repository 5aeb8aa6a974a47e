package accesslog

import (
	"fmt"
	"strconv"
	"time"

	"github.com/pergola-mesh/pergola/proxy/exchange"
)

// streamField is a member of the JSON line of a stream. Those that lines of requests have too are kept
// by their names there.
type streamField struct {
	name   string
	shared fieldID // when not own
	own    bool
	number bool
	value  func(b []byte, s *exchange.Stream, e *entry) []byte // appends nothing when there is none
}

// streamFields are the members, in their order.
var streamFields = []streamField{
	{name: "ClientAddr", shared: clientAddr, value: func(b []byte, s *exchange.Stream, _ *entry) []byte { return appendPeer(b, s.Conn) }},
	{name: "ClientHost", shared: clientHost, value: func(b []byte, s *exchange.Stream, _ *entry) []byte { return s.Conn.Peer.Addr().AppendTo(b) }},
	{name: "ClientPort", shared: clientPort, value: func(b []byte, s *exchange.Stream, _ *entry) []byte {
		return strconv.AppendUint(b, uint64(s.Conn.Peer.Port()), 10)
	}},
	{name: "Protocol", own: true, value: func(b []byte, s *exchange.Stream, _ *entry) []byte { return append(b, s.Protocol...) }},
	{name: "ServerName", own: true, value: func(b []byte, s *exchange.Stream, _ *entry) []byte { return appendJSON(b, s.ServerName) }},
	{name: "Passthrough", own: true, number: true, value: func(b []byte, s *exchange.Stream, _ *entry) []byte {
		if s.Passthrough {
			return append(b, "true"...)
		}
		return b
	}},
	{name: "BytesReceived", own: true, number: true, value: func(b []byte, s *exchange.Stream, _ *entry) []byte {
		return strconv.AppendInt(b, s.Received.Load(), 10)
	}},
	{name: "BytesSent", own: true, number: true, value: func(b []byte, s *exchange.Stream, _ *entry) []byte {
		return strconv.AppendInt(b, s.Sent.Load(), 10)
	}},
	{name: "Duration", shared: duration, number: true, value: func(b []byte, s *exchange.Stream, _ *entry) []byte {
		return strconv.AppendInt(b, s.Duration, 10)
	}},
	{name: "DialDuration", own: true, number: true, value: func(b []byte, s *exchange.Stream, _ *entry) []byte {
		if s.DialDuration == 0 {
			return b
		}
		return strconv.AppendInt(b, s.DialDuration, 10)
	}},
	{name: "RetryAttempts", shared: retryAttempts, number: true, value: func(b []byte, s *exchange.Stream, _ *entry) []byte {
		return strconv.AppendInt(b, int64(max(s.Attempts-1, 0)), 10)
	}},
	{name: "StartLocal", shared: startLocal, value: func(b []byte, _ *exchange.Stream, e *entry) []byte {
		return append(appendFraction(append(b, e.stamp.local...), e.nanos), e.stamp.zone...)
	}},
	{name: "StartUTC", shared: startUTC, value: func(b []byte, _ *exchange.Stream, e *entry) []byte {
		return append(appendFraction(append(b, e.stamp.utc...), e.nanos), 'Z')
	}},
	{name: "entryPointName", shared: entryPointName, value: func(b []byte, s *exchange.Stream, _ *entry) []byte {
		return appendJSON(b, s.Conn.EntryPoint)
	}},
	{name: "RouterName", shared: routerName, value: func(b []byte, s *exchange.Stream, _ *entry) []byte { return appendStreamScope(b, s.Router) }},
	{name: "ServiceName", shared: serviceName, value: func(b []byte, s *exchange.Stream, _ *entry) []byte { return appendStreamScope(b, s.Service) }},
	{name: "ServiceAddr", shared: serviceAddr, value: func(b []byte, s *exchange.Stream, _ *entry) []byte { return appendStreamScope(b, s.Endpoint) }},
	{name: "TLSVersion", shared: tlsVersion, value: appendStreamTLS(tlsVersion)},
	{name: "TLSCipher", shared: tlsCipher, value: appendStreamTLS(tlsCipher)},
	{name: "TLSClientSubject", shared: tlsClientSubject, value: appendStreamTLS(tlsClientSubject)},
	{name: "ErrorKind", shared: errorKind, value: func(b []byte, s *exchange.Stream, _ *entry) []byte {
		if s.Failed {
			return append(b, s.Kind.Error()...)
		}
		return b
	}},
	{name: "Error", shared: errorText, value: func(b []byte, s *exchange.Stream, _ *entry) []byte {
		if s.Error != nil {
			return appendJSON(b, s.Error.Error())
		}
		return b
	}},
}

func appendStreamScope(b []byte, s exchange.StreamScope) []byte {
	if s == nil {
		return b
	}
	return appendJSON(b, s.Name())
}

func appendStreamTLS(id fieldID) func(b []byte, s *exchange.Stream, _ *entry) []byte {
	return func(b []byte, s *exchange.Stream, _ *entry) []byte {
		if s.Conn.TLS == nil {
			return b
		}
		return appendTLS(b, id, s.Conn.TLS)
	}
}

// Ended logs a stream of layer 4 that has ended. Log is an exchange.StreamObserver.
func (l *Log) Ended(s *exchange.Stream) {
	if s.Unlogged {
		return
	}
	count := l.count.Add(1)
	if !l.filter.keepsStream(s) {
		return
	}
	e := l.entries.Get().(*entry)
	e.begin(l, s.Start, count)
	if l.structured {
		e.line = l.streamJSON(e.line[:0], s, e)
	} else {
		e.line = l.streamText(e.line[:0], s, e)
	}
	l.writer.add(e.line)
	if cap(e.line) <= maxKeptLine {
		l.entries.Put(e)
	}
}

// keepsStream is keeps: a stream has no status.
func (f *filter) keepsStream(s *exchange.Stream) bool {
	if len(f.statuses) == 0 && !f.retried && f.minDuration == 0 {
		return true
	}
	return f.retried && s.Attempts > 1 || f.minDuration > 0 && s.Duration > f.minDuration
}

// streamJSON appends a JSON line.
func (l *Log) streamJSON(b []byte, s *exchange.Stream, e *entry) []byte {
	b = append(b, '{')
	for i := range streamFields {
		f := &streamFields[i]
		if f.own && !l.keptOwn[f.name] || !f.own && !l.kept[f.shared] {
			continue
		}
		before := len(b)
		b = append(append(append(b, '"'), f.name...), '"', ':')
		if !f.number {
			b = append(b, '"')
		}
		at := len(b)
		if b = f.value(b, s, e); len(b) == at {
			b = b[:before]
			continue
		}
		if !f.number {
			b = append(b, '"')
		}
		b = append(b, ',')
	}
	end := e.end(l, s.Duration)
	b = append(append(b, `"level":"info","msg":"","time":"`...), end.local...)
	return append(append(b, end.zone...), "\"}\n"...)
}

// streamText appends a line that reads as one of a request, in the places that make sense: the protocol is
// the method, the server name the path, and the bytes sent the size.
//
//	host - - [time] "TCP name -" - size "-" "-" count "router" "server" 12ms
func (l *Log) streamText(b []byte, s *exchange.Stream, e *entry) []byte {
	b = s.Conn.Peer.Addr().AppendTo(b)
	b = append(append(append(b, " - - ["...), e.stamp.common...), `] "`...)
	for _, c := range []byte(s.Protocol) {
		b = append(b, c&^0x20)
	}
	b = append(b, ' ')
	b = append(appendWord(b, s.ServerName), ` -" - `...)
	b = strconv.AppendInt(b, s.Sent.Load(), 10)
	b = append(b, ` "-" "-" `...)
	b = append(strconv.AppendUint(b, e.count, 10), ' ')
	for _, scope := range []exchange.StreamScope{s.Router, s.Endpoint} {
		name := ""
		if scope != nil {
			name = scope.Name()
		}
		b = append(appendQuoted(b, name), ' ')
	}
	return fmt.Appendf(b, "%dms\n", s.Duration/int64(time.Millisecond))
}
