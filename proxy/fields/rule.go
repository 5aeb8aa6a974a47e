package fields

import "github.com/pergola-mesh/pergola/proxy/exchange"

// Rule is why a message was refused. It is an error that wraps a kind; its name is stable and goes to
// logs and metrics.
type Rule struct {
	Name string
	Kind exchange.Kind
	Text string
}

// Error gives the rule's name and what it says.
func (r *Rule) Error() string { return r.Name + ": " + r.Text }

// Unwrap is the kind, which decides the status.
func (r *Rule) Unwrap() error { return r.Kind }

// Malformed reports whether a message that breaks the rule means nothing, or not one thing only: HTTP/2 and HTTP/3
// have streams reset for that. A name with an underscore is clear, and only not wanted here: its client is told.
func (r *Rule) Malformed() bool { return r.Kind == exchange.BadRequest && r != RuleUnderscore }

// Bad makes a rule whose breach is a bad request.
func Bad(name, text string) *Rule { return &Rule{name, exchange.BadRequest, text} }

// The rules of every version of HTTP.
var (
	RuleMethod       = Bad("method", "the method is not a token")
	RuleTarget       = Bad("target", "the request target has a forbidden byte or form")
	RuleFragment     = Bad("target_fragment", "the request target has a #")
	RuleTargetLong   = &Rule{"target_too_long", exchange.TargetTooLong, "the request target is over the limit"}
	RuleConnect      = &Rule{"connect", exchange.MethodUnknown, "CONNECT is not served here"}
	RuleHeaderSize   = &Rule{"header_size", exchange.HeaderTooLarge, "the header block is over the limit"}
	RuleFieldCount   = &Rule{"field_count", exchange.HeaderTooLarge, "there are more fields than the limit"}
	RuleNameLong     = &Rule{"field_name_too_long", exchange.HeaderTooLarge, "a field name is over the limit"}
	RuleFieldName    = Bad("field_name", "a field name is empty, has white space before the colon, or is not a token")
	RuleFieldValue   = Bad("field_value", "a field value has CR, NUL or another control byte")
	RuleUnderscore   = Bad("underscore_name", "a field name has an underscore")
	RuleHostMissing  = Bad("host_missing", "the request names no host")
	RuleHostMany     = Bad("host_many", "more than one Host")
	RuleHostInvalid  = Bad("host_invalid", "Host is not a host with an optional port")
	RuleLength       = Bad("content_length", "Content-Length is not a plain number")
	RuleLengthMany   = Bad("content_length_many", "Content-Length values differ")
	RuleExpect       = &Rule{"expect", exchange.ExpectUnknown, "Expect is other than 100-continue"}
	RuleTrailerSize  = Bad("trailer_size", "the trailer section is over the limit")
	RuleInterimFlood = Bad("interim_flood", "more interim responses than the limit")
)

// The rules of HTTP/2 and HTTP/3. RFC 9113 §8.2, §8.3.
var (
	RuleUppercase       = Bad("field_name_case", "a field name has an uppercase letter")
	RuleConnectionField = Bad("connection_field", "a field is about the connection, as HTTP/1.1 has them")
	RuleTE              = Bad("te", "TE is other than trailers")
	RulePseudoUnknown   = Bad("pseudo_unknown", "a pseudo-header field is not one of this kind of message")
	RulePseudoRepeated  = Bad("pseudo_repeated", "a pseudo-header field comes twice")
	RulePseudoOrder     = Bad("pseudo_order", "a pseudo-header field comes behind an ordinary one")
	RulePseudoMissing   = Bad("pseudo_missing", "a pseudo-header field that must be there is not")
	RulePseudoExcess    = Bad("pseudo_excess", "a pseudo-header field must not be in this message")
	RuleHostDiffers     = Bad("host_differs", "Host and :authority differ")
	RuleScheme          = Bad("scheme", ":scheme is neither http nor https")
	RuleStatus          = Bad("status", ":status is not three digits, or is 101")
	RuleLengthBody      = Bad("content_length_body", "Content-Length is not the size of the body")
)
