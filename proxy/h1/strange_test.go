package h1

import (
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/pergola-mesh/pergola/internal/waittest"
)

// Where other protocols are spoken too, what is none of HTTP's gets no answer in it. Whatever has anything
// of HTTP in its first line gets its 400, and so does everything where HTTP/1.1 alone is spoken.
func TestStrangers(t *testing.T) {
	for text, strange := range map[string]bool{
		"INVALID CONNECTION PREFACE\r\n\r\n":           true, // of h2spec
		"SSH-2.0-OpenSSH_9.2p1\r\n":                    true,
		"EHLO example.com\r\n":                         true,
		"\x03\x00\x00\x13\x0e\xe0\r\n":                 true,
		"HTTP\r\n\r\n":                                 true,
		"GETS / FOO/1.1\r\n\r\n":                       true,
		"GET / FOO/1.1\r\n\r\n":                        false,
		"GET /\r\n\r\n":                                false, // HTTP/0.9
		"GET\r\n\r\n":                                  false,
		"PATCH  \r\n\r\n":                              false,
		"FOO / HTTP/1.1 \r\n\r\n":                      false,
		"FOO HTTP/1.1\r\n\r\n":                         false,
		"F(O / HTTP/1.1\r\n\r\n":                       false,
		"FOO / http/1.1\r\n\r\n":                       false,
		"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n":             false,
		"INVALID CONNECTION PREFACE\n\n":               false,
		"GET / HTTP/1.1\r\nHost: h\r\n :\r\n\r\n":      false,
		"FOO / HTTP/1.1\r\nHost: h\r\nHost: i\r\n\r\n": false,
	} {
		for _, shared := range []bool{true, false} {
			r := newRig(t, nil, answer(ok), func(r *rig, _ *PoolConfig) { r.server.Shared = shared })
			c := r.dial()
			io.WriteString(c, text)
			all, err := io.ReadAll(c)
			if err != nil {
				t.Errorf("%q: %v", text, err)
			}
			c.Close()
			got := string(all)
			if (got == "") != (strange && shared) || got != "" && !strings.HasPrefix(got, "HTTP/1.1 400 ") && !strings.HasPrefix(got, "HTTP/1.1 505 ") {
				t.Errorf("%q, shared %t: answered %q", text, shared, got)
			}
			waittest.Until(t, "the connection ends", func() bool { return r.server.Active() == 0 })
			if rules := r.rules(); len(rules) != 1 {
				t.Errorf("%q: refused by %q", text, rules)
			}
		}
	}

	// What follows a request is not the beginning of anything.
	r := newRig(t, nil, answer(ok), func(r *rig, _ *PoolConfig) { r.server.Shared = true })
	c := r.dial()
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: h\r\n\r\nINVALID CONNECTION PREFACE\r\n\r\n")
	got, err := io.ReadAll(c)
	if err != nil || !strings.HasPrefix(string(got), ok) || !strings.HasPrefix(string(got[len(ok):]), "HTTP/1.1 400 ") {
		t.Errorf("%v %q", err, got)
	}
	if rules := r.rules(); !slices.Equal(rules, []string{"request_line"}) {
		t.Errorf("refused by %q", rules)
	}
}
