package accesslog

import (
	"crypto/tls"
	"encoding/json"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/pergola-mesh/pergola/config/static"
	"github.com/pergola-mesh/pergola/internal/clock"
	"github.com/pergola-mesh/pergola/proxy/exchange"
)

func (s scope) Opened(*exchange.Stream)              {}
func (s scope) Moved(*exchange.Stream, int64, int64) {}
func (s scope) Closed(*exchange.Stream)              {}

// kept is an output that keeps what is written.
type kept struct{ strings.Builder }

func (*kept) Reopen() error { return nil }
func (*kept) Close() error  { return nil }

// streamLines logs a stream that ended well and one that did not.
func streamLines(t *testing.T, c *static.AccessLog) []string {
	t.Helper()
	l, err := newLog(c, quiet)
	if err != nil {
		t.Fatal(err)
	}
	out := &kept{}
	l.writer = newWriter(out, 0, quiet)
	conn := &exchange.Conn{EntryPoint: "db", Peer: netip.MustParseAddrPort("192.0.2.1:4000"), PeerText: "192.0.2.1"}
	well := &exchange.Stream{Conn: conn, Protocol: "tcp", ServerName: "a.example", Passthrough: true, Start: clock.Now(),
		Duration: int64(1500 * time.Millisecond), DialDuration: 7, Attempts: 2, Router: scope("db@file"), Service: scope("pg@file"), Endpoint: scope("10.0.0.1:5432")}
	well.Received.Store(10)
	well.Sent.Store(2000)
	l.Ended(well)
	failed := &exchange.Stream{Conn: &exchange.Conn{EntryPoint: "db", Peer: conn.Peer, PeerText: conn.PeerText,
		TLS: &tls.ConnectionState{Version: tls.VersionTLS13, CipherSuite: tls.TLS_AES_128_GCM_SHA256}},
		Protocol: "udp", Start: clock.Now(), Router: scope(`quote"d@file`)}
	failed.Fail(exchange.DialFailed.Withf("re\nfused"))
	l.Ended(failed)
	l.Ended(&exchange.Stream{Conn: conn, Unlogged: true})
	if err := l.writer.close(); err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
}

func TestStreamsInJSON(t *testing.T) {
	lines := streamLines(t, &static.AccessLog{Format: "json"})
	if len(lines) != 2 {
		t.Fatalf("%q", lines)
	}
	for i, want := range []map[string]any{
		{"ClientAddr": "192.0.2.1:4000", "ClientHost": "192.0.2.1", "ClientPort": "4000", "Protocol": "tcp", "ServerName": "a.example",
			"Passthrough": true, "BytesReceived": 10.0, "BytesSent": 2000.0, "Duration": 1.5e9, "DialDuration": 7.0, "RetryAttempts": 1.0,
			"entryPointName": "db", "RouterName": "db@file", "ServiceName": "pg@file", "ServiceAddr": "10.0.0.1:5432", "ErrorKind": nil, "TLSVersion": nil},
		{"Protocol": "udp", "ServerName": nil, "Passthrough": nil, "RouterName": `quote"d@file`, "ServiceAddr": nil, "TLSVersion": "1.3",
			"TLSCipher": "TLS_AES_128_GCM_SHA256", "ErrorKind": "dial_failed", "Error": "dial_failed: re\nfused"},
	} {
		var got map[string]any
		if err := json.Unmarshal([]byte(lines[i]), &got); err != nil {
			t.Fatalf("%s: %v", lines[i], err)
		}
		for key, value := range want {
			if got[key] != value {
				t.Errorf("line %d: %s is %v, not %v", i, key, got[key], value)
			}
		}
	}
	fewer := streamLines(t, &static.AccessLog{Format: "json", Fields: static.AccessLogFields{
		DefaultMode: "drop", Names: map[string]string{"protocol": "keep", "RouterName": "keep"}}})
	if got := fewer[0][:strings.Index(fewer[0], `"level"`)]; got != `{"Protocol":"tcp","RouterName":"db@file",` {
		t.Error(got)
	}
}

func TestStreamsInText(t *testing.T) {
	lines := streamLines(t, &static.AccessLog{Format: "common"})
	for i, want := range []string{
		`] "TCP a.example -" - 2000 "-" "-" 1 "db@file" "10.0.0.1:5432" 1500ms`,
		`] "UDP - -" - 0 "-" "-" 2 "quote\"d@file" "-" 0ms`,
	} {
		if !strings.HasPrefix(lines[i], "192.0.2.1 - - [") || !strings.HasSuffix(lines[i], want) {
			t.Errorf("%s does not end in %s", lines[i], want)
		}
	}
	filtered := streamLines(t, &static.AccessLog{Filters: static.AccessLogFilters{StatusCodes: []string{"500-599"}, MinDuration: static.Duration(time.Second)}})
	if len(filtered) != 1 || !strings.Contains(filtered[0], "a.example") {
		t.Errorf("%q", filtered)
	}
}
