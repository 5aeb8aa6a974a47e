// Package layer4 is the services of connections and of datagrams: the servers they choose from, and what
// is known of each.
//
// As in package upstream, a Registry makes services from their configuration and keeps what outlives a
// reload: a new service that names the same server of the same service finds its state. A server is up
// when it is first seen; checks take it down and bring it back. A server that could not be connected to
// is left alone for a while, as long as there are others; the stream goes to the next one.
package layer4
