package listen

import (
	"bytes"
	"crypto/tls"
	"io"
	"reflect"
	"strings"
	"testing"
	"unsafe"
)

// A version of Go whose tls.Conn is another one is to be noticed here.
func TestSlackIsFound(t *testing.T) {
	if !slack.found {
		t.Error("the buffers of crypto/tls are not where they were: idle connections of TLS keep them")
	}
}

func TestSlackOfAnotherVersion(t *testing.T) {
	for name, conn := range map[string]reflect.Type{
		"no buffers":     reflect.TypeFor[struct{ a int }](),
		"one is missing": reflect.TypeFor[struct{ rawInput, hand bytes.Buffer }](),
		"of another type": reflect.TypeFor[struct {
			rawInput []byte
			input    bytes.Reader
			hand     bytes.Buffer
		}](),
	} {
		if findSlack(conn).found {
			t.Errorf("%s: found", name)
		}
	}
}

// buffered is how many bytes t has allocated to read into.
func buffered(t *tls.Conn) int {
	buffer := func(offset uintptr) *bytes.Buffer { return (*bytes.Buffer)(unsafe.Add(unsafe.Pointer(t), offset)) }
	return buffer(slack.rawInput).Cap() + buffer(slack.hand).Cap()
}

// What crypto/tls has read into is gone when the connection goes to rest, unless there is something in it,
// and nothing is lost by it.
func TestDropSlack(t *testing.T) {
	for name, config := range map[string]*tls.Config{"TLS 1.3": tls13, "TLS 1.2": tls12} {
		t.Run(name, func(t *testing.T) {
			config = config.Clone()
			config.DynamicRecordSizingDisabled = true
			client, server := shaken(t, config, nil)
			text := strings.Repeat("0123456789", 1600) // of one long record
			got := make([]byte, len(text))
			for range 3 {
				if _, err := io.WriteString(client, text); err != nil {
					t.Fatal(err)
				}
				if _, err := io.ReadFull(server.Net(), got[:10]); err != nil {
					t.Fatal(err)
				}
				if buffered(server.TLS()) < len(text) {
					t.Fatalf("crypto/tls has read a record of %d bytes into buffers of %d", len(text), buffered(server.TLS()))
				}
				dropSlack(server.TLS()) // there is something left to be read
				if _, err := io.ReadFull(server.Net(), got[10:]); err != nil || string(got) != text {
					t.Fatalf("read %q, %v", got, err)
				}
				dropSlack(server.TLS())
				if n := buffered(server.TLS()); n != 0 {
					t.Errorf("%d bytes are kept", n)
				}
			}
		})
	}
}

// While it is idle a connection has one of these. Sizes of allocations go up in steps.
func TestConnIsSmall(t *testing.T) {
	if n := unsafe.Sizeof(Conn{}); n > 144 {
		t.Errorf("a Conn takes %d bytes: put what not every one needs behind a pointer", n)
	}
}
