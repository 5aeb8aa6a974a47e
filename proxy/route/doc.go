// Package route finds the router of a request: Traefik v3's rules and priorities, compiled into an
// index.
//
// # What is asked
//
// A Table answers what a linear scan would: of the entries sorted by priority, the first whose rule
// is true. The scan costs more with every router; the index does not.
//
// # Rules become places
//
// Parse pushes negations down to the matchers, then looks for covers in three dimensions: host, path
// and field (a header field or query parameter with one exact value). A cover is a set of keys of
// which one must be true for the rule to be. A conjunction is covered by its narrowest part, a
// disjunction by all of its parts together:
//
//	(Host(`a`) || Host(`b`)) && PathPrefix(`/x`) && !Method(`PUT`)
//
//	host a, path /x…  rest !Method(`PUT`)
//	host b, path /x…  rest !Method(`PUT`)
//
// For every key the rule is simplified under the assumption that the key is true; what remains is
// the only thing to be checked in that place. Here that is the method; of a plain host and path
// nothing remains. Alternatives that ask for different things (Host(`a`) || PathPrefix(`/x`)) are
// covered by keys of several dimensions. A regexp that begins, or ends, with literal text is covered
// by that text. What has no cover (a negation, an address) is kept for any host, any path, any field,
// and all of it remains to be checked. There is no disjunctive normal form that could explode, and
// the number of places of one rule is bounded.
//
// # The index
//
//	host                 hash table: exact
//	                     radix tree, read backwards: one label, any labels, any ending
//	 └ path              radix tree: prefix, exact
//	    └ bucket         fields: radix trees of values; and plain candidates
//	       └ candidates  in order of priority, each with the rest of its rule
//
// One walk along the host passes everything that matches it, since *.x and **.x lie on the way to
// a.x; the same holds for the prefixes of a path. Walking goes down first and judges on the way back,
// the most specific first, because that is where the longest rules, and so the highest priorities,
// are. Yet no order is taken for granted: every subtree knows its best entry, and whatever cannot
// come before the best match so far is passed over. Candidates end at the first that matches.
//
// With ten thousand routers it is cache misses that cost, not instructions: hence the hash table,
// where a tree would do, and the layout of tree and bucket.
//
// # Changes
//
// All of it is persistent: Update copies the nodes on the way to a change, a few dozen of them, and
// shares the rest with the table before, which stays valid for those who still read it. One edit
// copies a node once; NewTable is an edit of an empty table.
package route
