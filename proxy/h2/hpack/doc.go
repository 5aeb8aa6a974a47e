// Package hpack is the header compression of HTTP/2, RFC 7541.
//
// A Decoder decodes header blocks into a fields.Block, an Encoder appends header fields to a buffer.
// Neither allocates once its memory has grown. Each is for one direction of one connection, and for
// one goroutine at a time.
package hpack
