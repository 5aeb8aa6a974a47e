package listen

import (
	"bytes"
	"crypto/tls"
	"reflect"
	"unsafe"
)

// slack is where in a tls.Conn the buffers are that it reads into. It never makes them smaller: an idle
// connection would keep its ClientHello, twice, and after an upload a buffer of 32 KiB. What cannot be
// found, in another version of Go, is left alone.
var slack = findSlack(reflect.TypeFor[tls.Conn]())

type slackOffsets struct {
	rawInput uintptr // bytes.Buffer: records
	input    uintptr // bytes.Reader: of the plaintext of the last one, which lies in rawInput
	hand     uintptr // bytes.Buffer: messages of handshakes
	found    bool
}

func findSlack(conn reflect.Type) (s slackOffsets) {
	offset := func(name string, want reflect.Type) uintptr {
		f, ok := conn.FieldByName(name)
		s.found = s.found && ok && f.Type == want && len(f.Index) == 1
		return f.Offset
	}
	s.found = true
	s.rawInput = offset("rawInput", reflect.TypeFor[bytes.Buffer]())
	s.input = offset("input", reflect.TypeFor[bytes.Reader]())
	s.hand = offset("hand", reflect.TypeFor[bytes.Buffer]())
	return s
}

// dropSlack frees the buffers of t that have nothing in them. Nobody may be reading from t.
func dropSlack(t *tls.Conn) {
	if !slack.found {
		return
	}
	rawInput := (*bytes.Buffer)(unsafe.Add(unsafe.Pointer(t), slack.rawInput))
	input := (*bytes.Reader)(unsafe.Add(unsafe.Pointer(t), slack.input))
	hand := (*bytes.Buffer)(unsafe.Add(unsafe.Pointer(t), slack.hand))
	if rawInput.Len() == 0 && input.Len() == 0 {
		*rawInput, *input = bytes.Buffer{}, bytes.Reader{}
	}
	if hand.Len() == 0 {
		*hand = bytes.Buffer{}
	}
}
