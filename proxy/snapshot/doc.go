// Package snapshot turns dynamic configuration into what requests run through.
//
// A Builder takes the updates of providers and makes one immutable Snapshot after another: a route
// table for each entry point, whose routers lead through their middlewares to their services. A Live
// holds the snapshot in force; the handlers it gives to listeners read it once per request, so that
// swapping it needs nothing else.
//
// # What is rebuilt
//
// Every object (a router, service, middleware or servers transport) is a node of a graph. While a node
// is built it notes what it asks for, whether or not that exists. An update rebuilds what changed and
// whatever asked for it, directly or not, and nothing else: one changed router in ten thousand costs
// one router, and a router whose service did not exist heals when the service appears. What is not
// rebuilt is the same instance as before, with its state.
//
// # What fails
//
// An object that cannot be built fails alone, with its reason in the View, in the Report and in the log. If
// it could be before, that version of it stays in force (keep.go). Else, a router whose rule is good stays
// in the table even if nothing behind it is: it answers 503 when its service is missing and 500 when a
// middleware is, so that its requests never fall through to a router that asks less of them. See docs/decisions/broken-routers.md.
package snapshot
