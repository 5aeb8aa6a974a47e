package frame

import (
	"errors"

	"github.com/quic-go/quic-go/quicvarint"
)

// The types of unidirectional streams. RFC 9114 §6.2, RFC 9204 §4.2.
const (
	ControlStream = 0x0
	PushStream    = 0x1
	EncoderStream = 0x2
	DecoderStream = 0x3
)

// The identifiers of settings. RFC 9114 §7.2.4.1, RFC 9204 §5, RFC 9220 §3.
const (
	SettingTableCapacity    = 0x1
	SettingMaxFieldSection  = 0x6
	SettingBlockedStreams   = 0x7
	SettingExtendedConnect  = 0x8
	SettingDatagrams        = 0x33
	MaxSettings             = 4 << 10 // longest SETTINGS payload that is read, in bytes
	firstRetired, lastPlain = 0x2, 0x5
)

// Setting is one parameter.
type Setting struct{ ID, Value uint64 }

// AppendSettings appends a SETTINGS frame.
func AppendSettings(dst []byte, settings ...Setting) []byte {
	n := 0
	for _, s := range settings {
		n += quicvarint.Len(s.ID) + quicvarint.Len(s.Value)
	}
	dst = AppendHead(dst, Settings, n)
	for _, s := range settings {
		dst = quicvarint.Append(quicvarint.Append(dst, s.ID), s.Value)
	}
	return dst
}

// The errors of ParseSettings: the first is a broken frame, the second a forbidden setting.
var (
	ErrFrame    = errors.New("the frame ends in the middle of a setting")
	ErrSettings = errors.New("a setting that comes twice, or must not be in HTTP/3, or has a forbidden value")
)

// ParseSettings checks the payload of a SETTINGS frame. RFC 9114 §7.2.4.
func ParseSettings(payload []byte) ([]Setting, error) {
	var settings []Setting
	for len(payload) > 0 {
		id, n, err := quicvarint.Parse(payload)
		if err != nil {
			return nil, ErrFrame
		}
		value, m, err := quicvarint.Parse(payload[n:])
		if err != nil {
			return nil, ErrFrame
		}
		payload = payload[n+m:]
		for _, s := range settings {
			if s.ID == id {
				return nil, ErrSettings
			}
		}
		switch {
		case id >= firstRetired && id <= lastPlain,
			(id == SettingExtendedConnect || id == SettingDatagrams) && value > 1:
			return nil, ErrSettings
		}
		settings = append(settings, Setting{id, value})
	}
	return settings, nil
}
