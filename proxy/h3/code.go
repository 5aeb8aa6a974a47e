package h3

import (
	"github.com/quic-go/quic-go"

	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/fields"
)

// Error codes. RFC 9114 §8.1, RFC 9204 §6.
const (
	codeNoError           = 0x100
	codeInternal          = 0x102
	codeStreamCreation    = 0x103
	codeClosedCritical    = 0x104
	codeFrameUnexpected   = 0x105
	codeFrameError        = 0x106
	codeExcessiveLoad     = 0x107
	codeID                = 0x108
	codeSettings          = 0x109
	codeMissingSettings   = 0x10a
	codeRequestRejected   = 0x10b
	codeRequestCancelled  = 0x10c
	codeRequestIncomplete = 0x10d
	codeMessage           = 0x10e
	codeConnect           = 0x10f
	codeDecompression     = 0x200
	codeEncoderStream     = 0x201
	codeDecoderStream     = 0x202
)

const (
	streamIDStep = 4                    // between two request streams. RFC 9000 §2.1
	maxStreamID  = 1<<62 - streamIDStep // the last there can be
)

// fault is a breach of the protocol that ends the whole connection. RFC 9114 §8.
type fault struct {
	code quic.ApplicationErrorCode
	rule *fields.Rule
}

// Error is the rule's.
func (f *fault) Error() string { return f.rule.Error() }

// Unwrap is the rule.
func (f *fault) Unwrap() error { return f.rule }

func newFault(code quic.ApplicationErrorCode, name, text string) *fault {
	return &fault{code, fields.Bad(name, text)}
}

// What clients must not do.
var (
	faultFrame       = newFault(codeFrameError, "h3_frame", "a frame is cut off, or does not hold what it must")
	faultUnexpected  = newFault(codeFrameUnexpected, "h3_frame_unexpected", "a frame that must not come here")
	faultQPACK       = newFault(codeDecompression, "h3_qpack", "a field section that cannot be decoded")
	faultStream      = newFault(codeStreamCreation, "h3_stream", "a stream that must not be opened, or not twice")
	faultCritical    = newFault(codeClosedCritical, "h3_critical_stream", "a stream that must stay open was closed")
	faultSettings    = newFault(codeSettings, "h3_settings", "forbidden settings")
	faultNoSettings  = newFault(codeMissingSettings, "h3_settings_missing", "the control stream does not begin with SETTINGS")
	faultID          = newFault(codeID, "h3_id", "a number that must not grow grew, or one that must not shrink shrank")
	faultEncoder     = newFault(codeEncoderStream, "h3_qpack_encoder", "an instruction for a dynamic table, which there is none of")
	faultDecoder     = newFault(codeDecoderStream, "h3_qpack_decoder", "an acknowledgement of what was never sent")
	faultControlLoad = newFault(codeExcessiveLoad, "h3_control_flood", "more on the control stream than the requests are worth")
)

// resetCode is the code of a stream that is cut off because of err.
func resetCode(err error) quic.StreamErrorCode {
	switch exchange.KindOf(err) {
	case exchange.BadRequest:
		return codeMessage
	case exchange.ClientAbort, exchange.ClientTimeout:
		return codeRequestCancelled
	}
	return codeInternal
}
