// Package relay passes bytes between clients and servers without understanding them: layer 4.
//
// # Whose a connection is
//
// A Server is asked for every connection of an entry point, before and after the client's first byte, in
// the order of Traefik v3:
//
//  1. Where no router of the entry point is for TLS, of HTTP or TCP, a router that needs to know nothing
//     but the address takes the connection at once: the server may speak first.
//  2. A Postgres client that asks for TLS is answered, and goes on as TLS, if there is a router for that.
//  3. TLS: the ClientHello is read as a whole (package hello), and left for whoever terminates TLS. A
//     router of HTTP for the server name comes first, then one of TCP by its rule, then HTTP for any
//     name, then TCP with HostSNI(`*`).
//  4. Anything else is a router's without TLS, or else HTTP.
//
// In MySQL the server speaks first, and TLS begins later. A Server of MySQL greets its clients itself, takes
// them all, and has each log in to its server (package mysql) before its bytes are passed on.
//
// # How bytes pass
//
// Two plaintext sockets on Linux are a pair, whose bytes one of a few loops passes on, without goroutines
// that wait for either. A pair holds no memory while nothing is on its way; a busy direction goes through a
// pipe, so that its bytes never leave the kernel (splice). Everything else has one goroutine for each
// direction and goes through pooled buffers. The end of one direction is passed on as such; a side that was
// reset has the other reset. Coarse limits are one sweeper's.
package relay
