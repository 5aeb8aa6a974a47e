// Package h2 is HTTP/2: the server half turns connections into exchanges, one for each stream; the
// client half answers exchanges by asking one server.
//
// # A connection
//
// One goroutine reads a client's connection, inside one readiness callback (package listen), and takes
// all frames that have arrived. Then it hands each request to a goroutine from a pool, which runs the
// Handler and may block:
//
//	read frames → stream → worker: Handler → append frames to the output
//
// Whoever first appends to an empty output writes it, after all others that can run have had their
// turn: answers that come together leave in one write.
//
// # Flow control
//
// A client gets leave to send more only as the handler takes a body, and a response is pulled only as
// the client takes it: nothing is buffered but a window's worth. RFC 9113 §5.2.
//
// # Floods
//
// A stream holds its slot until its work has ended, however early the client takes it back. What asks
// for work that serves no request is paid for out of a budget, which answered requests fill.
package h2
