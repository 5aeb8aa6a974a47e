package mysql

// Capabilities are what a side can do and, of a client, what it wants.
type Capabilities uint32

// Those that are known here. The names are the protocol's, without CLIENT_.
const (
	LongPassword Capabilities = 1 << iota
	FoundRows
	LongFlag
	ConnectWithDB
	_ // NO_SCHEMA
	_ // COMPRESS
	_ // ODBC
	LocalFiles
	IgnoreSpace
	Protocol41
	Interactive
	SSL
	_ // IGNORE_SIGPIPE
	Transactions
	Reserved
	SecureConnection
	MultiStatements
	MultiResults
	PSMultiResults
	PluginAuth
	ConnectAttrs
	PluginAuthLenencData
	CanHandleExpiredPasswords
)

// Offered is what clients are promised, but for SSL, before it is known which server they will have. It is
// safe with every server: each of these is either older than the protocol's present form, and so every
// server's; or one that a server which lacks it does nothing for, as if it had been asked directly; or
// settled by Login.Adapt, which writes the client's login for the server that it has.
//
// What would change the form of later packets is not offered, since a server that lacks it would be
// misunderstood: COMPRESS and ZSTD_COMPRESSION_ALGORITHM, SESSION_TRACK, DEPRECATE_EOF,
// OPTIONAL_RESULTSET_METADATA, QUERY_ATTRIBUTES, and all of MariaDB's own, which are not looked for where
// LONG_PASSWORD is offered. Neither is MULTI_FACTOR_AUTHENTICATION.
const Offered = LongPassword | FoundRows | LongFlag | ConnectWithDB | LocalFiles | IgnoreSpace | Protocol41 |
	Interactive | Transactions | Reserved | SecureConnection | MultiStatements | MultiResults | PSMultiResults |
	PluginAuth | ConnectAttrs | PluginAuthLenencData | CanHandleExpiredPasswords

// has reports whether all of some are there.
func (c Capabilities) has(some Capabilities) bool { return c&some == some }
