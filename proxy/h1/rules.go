package h1

import (
	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/fields"
)

// The rules of HTTP/1.1 alone, in the order in which a message meets them.
var (
	ruleBareLF      = fields.Bad("bare_lf", "a line ends in LF without CR")
	ruleRequestLine = fields.Bad("request_line", "the request line is not METHOD SP target SP HTTP/1.x")
	ruleVersion     = &fields.Rule{Name: "version", Kind: exchange.VersionUnknown, Text: "the version is neither HTTP/1.0 nor HTTP/1.1"}
	ruleObsFold     = fields.Bad("obs_fold", "a header line begins with white space")
	ruleTEAndLength = fields.Bad("te_and_cl", "Transfer-Encoding and Content-Length together")
	ruleTE          = fields.Bad("transfer_encoding", "Transfer-Encoding is other than a single chunked")
	ruleTEOld       = fields.Bad("te_http10", "Transfer-Encoding in an HTTP/1.0 message")
	ruleUpgradeBody = fields.Bad("upgrade_body", "a request for a WebSocket has a body")
	ruleChunkSize   = fields.Bad("chunk_size", "a chunk size is not a hexadecimal number of at most 16 digits")
	ruleChunkExt    = fields.Bad("chunk_extension", "a chunk extension has a forbidden byte or is over the limit")
	ruleChunkEnd    = fields.Bad("chunk_end", "chunk data is not followed by CRLF")
	ruleStatusLine  = fields.Bad("status_line", "the status line is not HTTP/1.x SP three digits")
	ruleExcess      = fields.Bad("response_excess", "bytes follow the response that nobody asked for")
)
