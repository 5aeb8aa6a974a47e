package frame

import "fmt"

// Code tells a peer why a stream or connection ended. RFC 9113 §7.
type Code uint32

// The codes.
const (
	NoError            Code = 0x0
	ProtocolError      Code = 0x1
	InternalError      Code = 0x2
	FlowControlError   Code = 0x3
	SettingsTimeout    Code = 0x4
	StreamClosed       Code = 0x5
	FrameSizeError     Code = 0x6
	RefusedStream      Code = 0x7
	Cancel             Code = 0x8
	CompressionError   Code = 0x9
	ConnectError       Code = 0xa
	EnhanceYourCalm    Code = 0xb
	InadequateSecurity Code = 0xc
	HTTP11Required     Code = 0xd
)

var codeNames = [...]string{"NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR",
	"SETTINGS_TIMEOUT", "STREAM_CLOSED", "FRAME_SIZE_ERROR", "REFUSED_STREAM", "CANCEL", "COMPRESSION_ERROR",
	"CONNECT_ERROR", "ENHANCE_YOUR_CALM", "INADEQUATE_SECURITY", "HTTP_1_1_REQUIRED"}

// String is the code's name in the RFC.
func (c Code) String() string {
	if int(c) < len(codeNames) {
		return codeNames[c]
	}
	return fmt.Sprintf("error 0x%x", uint32(c))
}

// Error is why a peer's frame is refused: an error of the connection, or of one stream.
// RFC 9113 §5.4.
type Error struct {
	Code Code
	// Stream is the stream to reset; 0 when the connection cannot go on.
	Stream uint32
	// Rule names what was broken. It is stable and goes to logs and metrics.
	Rule string
}

// Error gives the code, the rule and the stream.
func (e *Error) Error() string {
	if e.Stream == 0 {
		return fmt.Sprintf("%v: %s", e.Code, e.Rule)
	}
	return fmt.Sprintf("%v: %s, stream %d", e.Code, e.Rule, e.Stream)
}

// refuse is an error of the connection.
func refuse(code Code, rule string) *Error { return &Error{Code: code, Rule: rule} }
