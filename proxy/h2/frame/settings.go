package frame

import (
	"encoding/binary"
	"iter"
)

// SettingID is the number of a setting.
type SettingID uint16

// The settings. Others are ignored. RFC 9113 §6.5.2, RFC 8441 §3.
const (
	HeaderTableSize       SettingID = 0x1
	EnablePush            SettingID = 0x2
	MaxConcurrentStreams  SettingID = 0x3
	InitialWindowSize     SettingID = 0x4
	MaxFrameSize          SettingID = 0x5
	MaxHeaderListSize     SettingID = 0x6
	EnableConnectProtocol SettingID = 0x8
)

// Setting is one of a Settings frame.
type Setting struct {
	ID    SettingID
	Value uint32
}

const settingLen = 6

// Settings yields those of a Settings frame, in order. Their values are within the protocol's limits.
func (f *Frame) Settings() iter.Seq2[SettingID, uint32] {
	return func(yield func(SettingID, uint32) bool) {
		for p := f.Payload; len(p) >= settingLen; p = p[settingLen:] {
			if !yield(SettingID(binary.BigEndian.Uint16(p)), binary.BigEndian.Uint32(p[2:])) {
				return
			}
		}
	}
}

// settings checks a Settings frame. RFC 9113 §6.5.
func (f *Frame) settings() *Error {
	if f.IsAck() {
		return f.sized(0, "settings_size")
	}
	if f.Size%settingLen != 0 {
		return refuse(FrameSizeError, "settings_size")
	}
	for id, value := range f.Settings() {
		switch id {
		case EnablePush, EnableConnectProtocol:
			if value > 1 {
				return refuse(ProtocolError, "settings_value")
			}
		case InitialWindowSize:
			if value > MaxWindow {
				return refuse(FlowControlError, "settings_window")
			}
		case MaxFrameSize:
			if value < MinMaxSize || value > MaxMaxSize {
				return refuse(ProtocolError, "settings_frame_size")
			}
		}
	}
	return nil
}
