package accesslog

import (
	"strconv"
	"time"

	"github.com/pergola-mesh/pergola/proxy/exchange"
)

// json appends a JSON line.
func (l *Log) json(b []byte, e *entry) []byte {
	b = append(b, '{')
	for i := range l.layout.optional {
		s := &l.layout.optional[i]
		start := len(b)
		b = append(b, s.before...)
		value := len(b)
		switch b = appendOptional(b, s.id, e.x); {
		case len(b) == value:
			b = b[:start]
		case fields[s.id].number:
			b = append(b, ',')
		default:
			b = append(b, '"', ',')
		}
	}
	b = l.response.append(b, &e.x.Response.Header)
	b = l.request.append(b, &e.x.Request.Header)
	for i := range l.layout.steps {
		s := &l.layout.steps[i]
		b = l.appendValue(append(b, s.before...), s.id, e)
	}
	end := e.end(l, e.x.Record.Duration)
	b = append(append(b, l.layout.after...), end.local...)
	return append(append(b, end.zone...), "\"}\n"...)
}

// genericCLF appends a line in the NCSA combined format.
func (l *Log) genericCLF(b []byte, e *entry) []byte { return append(l.combined(b, e), '\n') }

// common appends a line in Traefik's common format: the combined one and count, router, server, time.
func (l *Log) common(b []byte, e *entry) []byte {
	r := &e.x.Record
	b = append(l.combined(b, e), ' ')
	b = append(l.appendNumber(b, requestCount, int64(e.count)), ' ')
	b = append(l.appendName(b, routerName, r.Router), ' ')
	b = append(l.appendName(b, serviceURL, r.Endpoint), ' ')
	elapsed := int64(0)
	if l.kept[duration] {
		elapsed = r.Duration / int64(time.Millisecond)
	}
	return append(strconv.AppendInt(b, elapsed, 10), "ms\n"...)
}

// combined appends: host - user [time] "method path protocol" status size "referer" "agent"
func (l *Log) combined(b []byte, e *entry) []byte {
	x := e.x
	if l.kept[clientHost] {
		b = appendClient(b, x)
	} else {
		b = append(b, '-')
	}
	b = append(b, " - "...)
	if l.kept[clientUsername] {
		b = appendWord(b, x.Record.User)
	} else {
		b = append(b, '-')
	}
	b = append(b, " ["...)
	if l.kept[startUTC] || l.kept[startLocal] {
		b = append(b, e.stamp.common...)
	} else {
		b = append(b, '-')
	}
	b = append(b, `] "`...)
	if l.kept[requestMethod] {
		b = appendWord(b, x.Request.Method)
	} else {
		b = append(b, '-')
	}
	b = append(b, ' ')
	path := len(b)
	if l.kept[requestPath] {
		b = l.query.appendPath(b, &x.Request, appendPath[[]byte])
	}
	if len(b) == path {
		b = append(b, '-')
	}
	b = append(b, ' ')
	if l.kept[requestProtocol] {
		b = append(b, x.Request.Proto.String()...)
	} else {
		b = append(b, '-')
	}
	b = append(b, `" `...)
	b = append(l.appendNumber(b, downstreamStatus, int64(x.Response.Status)), ' ')
	b = append(l.appendNumber(b, downstreamContentSize, x.Record.ResponseBytes), ' ')
	b = append(l.appendHeader(b, exchange.Referer, x), ' ')
	return l.appendHeader(b, exchange.UserAgent, x)
}

func (l *Log) appendNumber(b []byte, field fieldID, n int64) []byte {
	if !l.kept[field] {
		return append(b, '-')
	}
	return strconv.AppendInt(b, n, 10)
}

func (l *Log) appendName(b []byte, field fieldID, s exchange.Scope) []byte {
	if s == nil || !l.kept[field] {
		return appendQuoted(b, "")
	}
	return appendQuoted(b, s.Name())
}

// appendHeader appends a request header in quotes, if headers are kept.
func (l *Log) appendHeader(b []byte, n exchange.Name, x *exchange.Exchange) []byte {
	mode := l.request.of([]byte(n.String()))
	if mode == dropMode || !x.Request.Header.Has(n) {
		return appendQuoted(b, "")
	}
	if mode == redactMode {
		return appendQuoted(b, redacted)
	}
	b = append(b, '"')
	b = appendValues(b, &x.Request.Header, n, appendCLF[[]byte])
	return append(b, '"')
}
