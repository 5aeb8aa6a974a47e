// Package identity is who the gateway is over TLS: its certificates, found by the name that a client
// asks for, and the policies, bound to hosts, under which connections are made.
//
// # Who decides what
//
// A configuration compiles tls.options into a Policy each, and binds the hosts of routers to them: an
// Edge for each entry point. A handshake is made under the policy of the name that the client asks for
// (SNI), with the best certificate for it. The Session remembers that. A request is admitted only if the
// host that it names is bound to the same policy: else a client could ask for one name, under a lax
// policy, and be served another's resources.
//
// Whatever is in doubt is refused: a host that two routers bind to different policies, a policy whose
// authorities cannot be read. Nothing ever falls back to a laxer policy.
//
// # What outlives a configuration
//
// The Store: certificates that were obtained rather than configured, the generated default certificate,
// the keys of session tickets, OCSP answers. The keys outlive the process too: its successor is given them.
package identity
