// Package h1 is HTTP/1.1 on both sides: the server half turns connections into exchanges, the client
// half (Pool) answers exchanges by asking one server.
//
// # A request
//
// One goroutine owns a client connection. Its keep-alive loop runs inside one readiness callback
// (package listen), so a plain request costs four data system calls, one poll and no allocation:
//
//	read head → parse in place → Handler → Pool: write head, wait, read answer → write answer
//
// A request that still needs something from its client, a body that has not arrived yet or a change
// of protocol, leaves the callback and runs on the same goroutine with ordinary reads.
//
// # The last answer
//
// An answer behind which the connection ends says so. So does one that comes before the end of its request,
// unless the rest of the body is there already or is known to be short: that much is read away.
//
// # Strictness
//
// A message that two parsers might read differently is refused: RFC 9112 §11.2. Every refusal has a
// rule with a name, which goes to the log and to a counter.
//
// # Time
//
// Nothing on this path reads a clock for a timeout. A connection says which phase it is in; the
// sweeper (package sweep) notices one that stayed too long without progress and interrupts it.
package h1
