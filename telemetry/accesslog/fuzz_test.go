package accesslog

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode"

	"github.com/pergola-mesh/pergola/config/static"
	"github.com/pergola-mesh/pergola/proxy/exchange"
)

// FuzzLine shows that no bytes of a client or server make more than one line, or JSON that is not.
func FuzzLine(f *testing.F) {
	f.Add("GET", "/", "a.example", "curl/8", "text/plain", "alice")
	f.Add("G\"T\n", "/\\\"}\r\n{\"a\":\"", "[::1]:80", "\x00\x1b[31m", "\xff\xfe", "a b")
	f.Add("", "?token=%zz&a=\u2028", ":", "\u0085\u00a0", "\xed\xa0\x80", "\x7f")
	f.Fuzz(func(t *testing.T, method, target, host, agent, media, user string) {
		for _, format := range []string{"json", "common", "genericCLF"} {
			l, err := newLog(&static.AccessLog{Format: format, Fields: static.AccessLogFields{
				Headers:         static.FieldModes{DefaultMode: "keep"},
				QueryParameters: static.FieldModes{DefaultMode: "keep", Names: map[string]string{"token": "redact"}},
			}}, quiet)
			if err != nil {
				t.Fatal(err)
			}
			d := described{Method: method, Host: host, Target: target, Peer: "[2001:db8::1]:1", User: user,
				Router: user + "@file", Service: host, Endpoint: "http://" + host + target, Failure: agent}
			x := d.exchange()
			raw := []byte("User-Agent: " + agent + "\r\n" + media + ": x\r\n")
			x.Request.Header.Reset(raw)
			x.Request.Header.AddReceived(exchange.UserAgent.ID(), 0, 10, 12, 12+len(agent), 14+len(agent))
			x.Request.Header.AddReceived(0, 14+len(agent), len(media), 16+len(agent)+len(media), 17+len(agent)+len(media), len(raw))
			e := &entry{}
			e.begin(l, x.Record.Start, 1)
			e.x = x
			wantOneLine(t, l.format(l, nil, e))
			if format == "json" {
				wantObject(t, l.format(l, nil, e))
			}
		}
	})
}

func wantOneLine(t *testing.T, line []byte) {
	t.Helper()
	body, ended := bytes.CutSuffix(line, []byte("\n"))
	if !ended || strings.ContainsFunc(string(body), func(r rune) bool {
		return unicode.IsControl(r) || r == 0x2028 || r == 0x2029
	}) {
		t.Errorf("not one plain line: %q", line)
	}
}

func wantObject(t *testing.T, line []byte) {
	t.Helper()
	var members map[string]any
	if err := json.Unmarshal(line, &members); err != nil {
		t.Fatalf("%v in %q", err, line)
	}
	if members["level"] != "info" || members["entryPointName"] != "web" {
		t.Errorf("members were replaced in %q", line)
	}
}

// FuzzJSONString shows that a string that is valid UTF-8 comes back from its JSON as it was.
func FuzzJSONString(f *testing.F) {
	f.Add("a.example")
	f.Add("\"\\\n\u2028é\x00\x7fabcdefgh\"")
	f.Fuzz(func(t *testing.T, s string) {
		var got string
		if err := json.Unmarshal(append(appendJSON([]byte(`"`), s), '"'), &got); err != nil {
			t.Fatal(err)
		}
		if want := string([]rune(s)); got != want {
			t.Errorf("%q became %q", s, got)
		}
	})
}
