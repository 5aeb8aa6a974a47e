// Package h3 is HTTP/3 on the clients' side, over the QUIC of quic-go: connections become exchanges as
// those of the other versions do. RFC 9114.
//
// A connection has a goroutine that accepts its request streams and one that accepts the others. Each
// request is served by a pooled goroutine, which reads the request's frames, runs the handlers and writes
// the response. There is no dynamic table for fields (package qpack), no push and no early data: a request
// is never served before its client is known to have asked for it.
package h3
