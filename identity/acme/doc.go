// Package acme obtains certificates from ACME certificate authorities, RFC 8555, and renews them, for
// the names that are in use.
//
// A resolver is a goroutine that compares what is wanted with what its storage holds, and orders what is
// missing or due, one certificate at a time. Before it orders it takes the storage's lease, so that of
// several gateways that share a storage one orders and the others find the certificate there. Answers to
// challenges go through the storage too: whichever gateway the authority asks can answer.
//
// What has failed is remembered in the storage as well, and tried again ever more seldom: neither a
// restart nor another gateway begins anew with an authority that limits failures.
package acme
