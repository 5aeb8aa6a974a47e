package h2

import "github.com/pergola-mesh/pergola/proxy/h2/frame"

// breach makes an error of the connection. RFC 9113 §5.4.1.
func breach(code frame.Code, rule string) *frame.Error { return &frame.Error{Code: code, Rule: rule} }

// The rules on what a client's frames may do to a connection, in alphabetical order; package frame has those
// on frames alone, and package fields those on messages.
var (
	ruleBlockSize  = breach(frame.EnhanceYourCalm, "header_block_size") // encoded, over what the decoded may be
	ruleCompressed = breach(frame.CompressionError, "compression")
	ruleFlood      = breach(frame.EnhanceYourCalm, "flood") // over the budget
	ruleGreeting   = breach(frame.ProtocolError, "preface") // other than the preface and then SETTINGS
	ruleIdle       = breach(frame.ProtocolError, "stream_idle")
	ruleSlowBody   = breach(frame.EnhanceYourCalm, "body_timeout")
	ruleSlowHead   = breach(frame.EnhanceYourCalm, "header_timeout")
	ruleUnacked    = breach(frame.SettingsTimeout, "settings_timeout")
	ruleStalled    = breach(frame.EnhanceYourCalm, "write_timeout")
	ruleStreamEven = breach(frame.ProtocolError, "stream_even")
	ruleStreamOld  = breach(frame.ProtocolError, "stream_reused") // lower than one before
	ruleClosed     = breach(frame.StreamClosed, "stream_closed")
	ruleWindow     = breach(frame.FlowControlError, "window")          // more data than there was leave for
	ruleWindowSize = breach(frame.FlowControlError, "window_overflow") // leave for more than 2^31-1
)

// on is the same breach on a stream alone.
func on(stream uint32, rule *frame.Error) *frame.Error {
	return &frame.Error{Code: rule.Code, Stream: stream, Rule: rule.Rule}
}
