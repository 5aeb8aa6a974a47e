package h1

import "github.com/pergola-mesh/pergola/proxy/exchange"

// Rule is why a message was refused. It is an error that wraps a kind; its name is stable and goes to
// logs and metrics.
type Rule struct {
	Name string
	kind exchange.Kind
	text string
}

// Error gives the rule's name and what it says.
func (r *Rule) Error() string { return r.Name + ": " + r.text }

// Unwrap is the kind, which decides the status.
func (r *Rule) Unwrap() error { return r.kind }

// The rules, in the order in which a message meets them.
var (
	ruleBareLF       = bad("bare_lf", "a line ends in LF without CR")
	ruleRequestLine  = bad("request_line", "the request line is not METHOD SP target SP HTTP/1.x")
	ruleMethod       = bad("method", "the method is not a token")
	ruleTarget       = bad("target", "the request target has a forbidden byte or form")
	ruleFragment     = bad("target_fragment", "the request target has a #")
	ruleTargetLong   = &Rule{"target_too_long", exchange.TargetTooLong, "the request target is over the limit"}
	ruleVersion      = &Rule{"version", exchange.VersionUnknown, "the version is neither HTTP/1.0 nor HTTP/1.1"}
	ruleConnect      = &Rule{"connect", exchange.MethodUnknown, "CONNECT is not served here"}
	ruleHeaderSize   = &Rule{"header_size", exchange.HeaderTooLarge, "the header block is over the limit"}
	ruleFieldCount   = &Rule{"field_count", exchange.HeaderTooLarge, "there are more fields than the limit"}
	ruleNameLong     = &Rule{"field_name_too_long", exchange.HeaderTooLarge, "a field name is over the limit"}
	ruleObsFold      = bad("obs_fold", "a header line begins with white space")
	ruleFieldName    = bad("field_name", "a field name is empty, has white space before the colon, or is not a token")
	ruleFieldValue   = bad("field_value", "a field value has CR, NUL or another control byte")
	ruleUnderscore   = bad("underscore_name", "a field name has an underscore")
	ruleHostMissing  = bad("host_missing", "HTTP/1.1 without Host")
	ruleHostMany     = bad("host_many", "more than one Host")
	ruleHostInvalid  = bad("host_invalid", "Host is not a host with an optional port")
	ruleLength       = bad("content_length", "Content-Length is not a plain number")
	ruleLengthMany   = bad("content_length_many", "Content-Length values differ")
	ruleTEAndLength  = bad("te_and_cl", "Transfer-Encoding and Content-Length together")
	ruleTE           = bad("transfer_encoding", "Transfer-Encoding is other than a single chunked")
	ruleTEOld        = bad("te_http10", "Transfer-Encoding in an HTTP/1.0 message")
	ruleExpect       = bad("expect", "Expect is other than 100-continue")
	ruleUpgradeBody  = bad("upgrade_body", "a request to change protocol has a body")
	ruleChunkSize    = bad("chunk_size", "a chunk size is not a hexadecimal number of at most 16 digits")
	ruleChunkExt     = bad("chunk_extension", "a chunk extension has a forbidden byte or is over the limit")
	ruleChunkEnd     = bad("chunk_end", "chunk data is not followed by CRLF")
	ruleTrailerSize  = bad("trailer_size", "the trailer section is over the limit")
	ruleStatusLine   = bad("status_line", "the status line is not HTTP/1.x SP three digits")
	ruleExcess       = bad("response_excess", "bytes follow the response that nobody asked for")
	ruleInterimFlood = bad("interim_flood", "more interim responses than the limit")
)

func bad(name, text string) *Rule { return &Rule{name, exchange.BadRequest, text} }
