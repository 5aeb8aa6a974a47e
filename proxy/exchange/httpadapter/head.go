package httpadapter

import (
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/pergola-mesh/pergola/proxy/exchange"
)

// sniffLen is how much of a body tells its type.
const sniffLen = 512

// commit makes the head of the response; more is what follows the buffer, for sniffing.
func (w *writer) commit(more []byte) {
	if w.committed {
		return
	}
	w.committed = true
	r := &w.call.x.Response
	r.Status, r.Proto, r.Length = w.status, exchange.HTTP11, w.declared
	if !bodyAllowed(w.status) && w.status != http.StatusNotModified {
		r.Length = 0
	}
	w.sniff(more)
	setHeader(&r.Header, w.sent)
}

// sniff sets the Content-Type of a body that has none.
func (w *writer) sniff(more []byte) {
	if _, set := w.sent["Content-Type"]; set || w.written == 0 || !bodyAllowed(w.status) || w.sent.Get("Content-Encoding") != "" {
		return
	}
	first := w.buffer
	if len(first) < sniffLen && len(more) > 0 {
		first = append(slices.Clone(first), more[:min(len(more), sniffLen-len(first))]...)
	}
	if len(first) > 0 {
		w.sent.Set("Content-Type", http.DetectContentType(first))
	}
}

// setHeader adds the fields of from that may be sent on to h, in order. Those of the connection and
// the framing are the codec's. RFC 9110 §7.6.1.
func setHeader(h *exchange.Header, from http.Header) {
	for _, key := range slices.Sorted(maps.Keys(from)) {
		switch key {
		case "Connection", "Content-Length", "Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade":
			continue
		}
		if !strings.HasPrefix(key, http.TrailerPrefix) {
			addAll(h, key, from[key])
		}
	}
}

// hasTrailers reports whether the handler announced trailers.
func (w *writer) hasTrailers() bool {
	if len(w.sent["Trailer"]) > 0 {
		return true
	}
	for key := range w.header {
		if strings.HasPrefix(key, http.TrailerPrefix) {
			return true
		}
	}
	return false
}

// setTrailers copies those fields set since the head that were announced in Trailer, or have
// http.TrailerPrefix.
func (w *writer) setTrailers() {
	t := &w.call.x.Response.Trailer
	for _, value := range w.sent["Trailer"] {
		for item := range exchange.List([]byte(value)) {
			key := http.CanonicalHeaderKey(string(item))
			addTrailer(t, key, w.header[key])
		}
	}
	for _, key := range slices.Sorted(maps.Keys(w.header)) {
		if name, ok := strings.CutPrefix(key, http.TrailerPrefix); ok {
			addTrailer(t, name, w.header[key])
		}
	}
}

// addTrailer leaves out what says how to read or route the message, which a trailer comes too late
// for. RFC 9110 §6.5.1.
func addTrailer(h *exchange.Header, key string, values []string) {
	switch key {
	case "Authorization", "Cache-Control", "Connection", "Content-Encoding", "Content-Length", "Content-Range",
		"Content-Type", "Expect", "Host", "Keep-Alive", "Max-Forwards", "Pragma", "Proxy-Authenticate",
		"Proxy-Authorization", "Proxy-Connection", "Range", "Realm", "Te", "Trailer", "Transfer-Encoding", "Www-Authenticate":
		return
	}
	addAll(h, key, values)
}

// addAll adds fields of one name, unless it is none. RFC 9110 §5.1.
func addAll(h *exchange.Header, key string, values []string) {
	isToken := key != "" && len(key) <= exchange.MaxNameLen
	for _, c := range []byte(key) {
		isToken = isToken && (strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0 || '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z')
	}
	if !isToken {
		return
	}
	name := exchange.NewName(key)
	for _, value := range values {
		h.Add(name, value)
	}
}

// contentLength is the length that a header declares, -1 for none or nonsense.
func contentLength(h http.Header) int64 {
	if v := h.Get("Content-Length"); v != "" {
		if n, err := strconv.ParseInt(v, 10, 64); err == nil && n >= 0 {
			return n
		}
	}
	return -1
}

// bodyAllowed reports whether a response of the status may have a body. RFC 9110 §6.4.1.
func bodyAllowed(status int) bool {
	return status >= 200 && status != http.StatusNoContent && status != http.StatusNotModified
}
