package accesslog

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"log/slog"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/tools/txtar"

	"github.com/pergola-mesh/pergola/config/static"
	"github.com/pergola-mesh/pergola/internal/clock"
	"github.com/pergola-mesh/pergola/proxy/exchange"
)

var update = flag.Bool("update", false, "write the lines that come out into testdata")

func TestMain(m *testing.M) {
	time.Local = time.FixedZone("", 2*3600)
	os.Exit(m.Run())
}

var quiet = slog.New(slog.DiscardHandler)

type scope string

func (s scope) Name() string               { return string(s) }
func (s scope) Observe(*exchange.Exchange) {}

// described is an exchange as testdata describes it.
type described struct {
	Method, Scheme, Host, Target, Peer, Client string
	Request, Response                          [][2]string
	Status                                     int
	Router, Service, Endpoint, User, Failure   string
	TLS                                        bool
	Attempts, OriginStatus                     int
	Duration, OriginDuration                   int64
	Received, Sent, OriginBytes                int64
}

var moment = time.Date(2026, 3, 1, 23, 59, 58, 120_300_000, time.UTC)

func (d *described) exchange() *exchange.Exchange {
	x := &exchange.Exchange{}
	peer := netip.MustParseAddrPort(d.Peer)
	conn := &exchange.Conn{EntryPoint: "web", Peer: peer, PeerText: peer.Addr().String()}
	if d.TLS {
		conn.TLS = &tls.ConnectionState{Version: tls.VersionTLS13, CipherSuite: tls.TLS_AES_128_GCM_SHA256}
	}
	x.Reset(conn, nil, nil)
	if d.Client != "" {
		x.Client = netip.MustParseAddr(d.Client)
	}
	x.Request.Method, x.Request.Scheme, x.Request.Proto = d.Method, d.Scheme, exchange.HTTP11
	x.Request.Host, x.Request.Target = []byte(d.Host), []byte(d.Target)
	x.Response.Status = d.Status
	for _, f := range d.Request {
		x.Request.Header.Add(exchange.NewName(f[0]), f[1])
	}
	for _, f := range d.Response {
		x.Response.Header.Add(exchange.NewName(f[0]), f[1])
	}
	r := &x.Record
	for _, s := range []struct {
		name string
		to   *exchange.Scope
	}{{d.Router, &r.Router}, {d.Service, &r.Service}, {d.Endpoint, &r.Endpoint}} {
		if s.name != "" {
			*s.to = scope(s.name)
		}
	}
	if d.Failure != "" {
		r.Failed, r.Kind = true, exchange.DialFailed
		r.Error = r.Kind.With(errors.New(d.Failure))
	}
	r.Start = int64(moment.Sub(clock.Time(0)))
	r.User, r.Attempts, r.Duration = d.User, d.Attempts, d.Duration
	r.UpstreamStatus, r.UpstreamDuration, r.UpstreamBytes = d.OriginStatus, d.OriginDuration, d.OriginBytes
	r.RequestBytes, r.ResponseBytes = d.Received, d.Sent
	return x
}

// sink keeps what is written.
type sink struct{ written strings.Builder }

func (s *sink) Write(p []byte) (int, error) { return s.written.Write(p) }
func (s *sink) Reopen() error               { return nil }
func (s *sink) Close() error                { return nil }

func start(t testing.TB, c *static.AccessLog, out output) *Log {
	t.Helper()
	l, err := newLog(c, quiet)
	if err != nil {
		t.Fatal(err)
	}
	l.writer = newWriter(out, c.BufferingSize, quiet)
	return l
}

// TestTranscripts logs the exchanges of testdata: "config" and "exchange" give "line".
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no transcripts", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			config := &static.AccessLog{}
			config.SetDefaults()
			out := &sink{}
			var log *Log
			for i, f := range archive.Files {
				switch f.Name {
				case "config":
					decode(t, f.Data, config)
					log = start(t, config, out)
				case "exchange":
					d := described{Method: "GET", Scheme: "http", Host: "a.example", Target: "/", Peer: "192.0.2.1:4711",
						Status: 200, Attempts: 1, Duration: int64(12345678 * time.Nanosecond)}
					decode(t, f.Data, &d)
					log.Observe(d.exchange())
				case "lines":
					if err := log.Close(); err != nil {
						t.Fatal(err)
					}
					got := out.written.String()
					if *update {
						archive.Files[i].Data = []byte(got)
						if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
							t.Fatal(err)
						}
					} else if want := string(f.Data); got != want {
						t.Errorf("got\n%swant\n%s", got, want)
					}
					if config.Format == "json" {
						wantJSON(t, got)
					}
				}
			}
		})
	}
}

func decode(t *testing.T, text []byte, into any) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(string(text)))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil && err != io.EOF {
		t.Fatal(err)
	}
}

// wantJSON fails t unless each line is an object without a name that occurs twice.
func wantJSON(t *testing.T, lines string) {
	t.Helper()
	for line := range strings.Lines(lines) {
		d := json.NewDecoder(strings.NewReader(line))
		var names []string
		for depth, key := 0, true; ; {
			token, err := d.Token()
			if err == io.EOF {
				break
			} else if err != nil {
				t.Fatalf("%v in %q", err, line)
			}
			switch token := token.(type) {
			case json.Delim:
				depth++
			case string:
				if key {
					names = append(names, token)
				}
				key = !key
			default:
				key = !key
			}
		}
		slices.Sort(names)
		if unique := slices.Compact(slices.Clone(names)); len(unique) != len(names) {
			t.Errorf("a name occurs twice in %s", line)
		}
	}
}

func TestBadConfigurationIsRefused(t *testing.T) {
	for want, change := range map[string]func(c *static.AccessLog){
		`accessLog: format: "xml"`:                               func(c *static.AccessLog) { c.Format = "xml" },
		`accessLog: filters.statusCodes: "5xx"`:                  func(c *static.AccessLog) { c.Filters.StatusCodes = []string{"5xx"} },
		`accessLog: fields.defaultMode: "redact"`:                func(c *static.AccessLog) { c.Fields.DefaultMode = "redact" },
		`accessLog: fields.names.Overhead: "yes"`:                func(c *static.AccessLog) { c.Fields.Names = map[string]string{"Overhead": "yes"} },
		`accessLog: fields.headers.defaultMode: "hide"`:          func(c *static.AccessLog) { c.Fields.Headers.DefaultMode = "hide" },
		`accessLog: fields.headers.names.Cookie: "hide"`:         func(c *static.AccessLog) { c.Fields.Headers.Names = map[string]string{"Cookie": "hide"} },
		`accessLog: fields.queryParameters.defaultMode: "hide"`:  func(c *static.AccessLog) { c.Fields.QueryParameters.DefaultMode = "hide" },
		`accessLog: fields.queryParameters.names.token: "false"`: func(c *static.AccessLog) { c.Fields.QueryParameters.Names = map[string]string{"token": "false"} },
		`accessLog: log file`: func(c *static.AccessLog) {
			c.FilePath = filepath.Join(os.DevNull, "x", "access.log")
		},
	} {
		c := &static.AccessLog{}
		c.SetDefaults()
		change(c)
		if _, err := New(c, quiet); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got %v, want %s…", err, want)
		}
	}
}

func TestUnknownFieldNamesAreReported(t *testing.T) {
	var said strings.Builder
	c := &static.AccessLog{Fields: static.AccessLogFields{Names: map[string]string{
		"starttime": "drop", "RequestPath": "drop", "gzipratio": "drop"}}}
	if _, err := newLog(c, slog.New(slog.NewTextHandler(&said, nil))); err != nil {
		t.Fatal(err)
	}
	if s := said.String(); strings.Count(s, "\n") != 1 || !strings.Contains(s, "name=starttime") {
		t.Errorf("said %q", s)
	}
}

func TestUnloggedRequests(t *testing.T) {
	out := &sink{}
	l := start(t, &static.AccessLog{Format: "json"}, out)
	x := typical()
	x.Record.Unlogged = true
	l.Observe(x)
	l.Close()
	if out.written.Len() != 0 {
		t.Errorf("wrote %q", out.written.String())
	}
}

func typical() *exchange.Exchange {
	d := described{Method: "GET", Scheme: "http", Host: "a.example:8080", Target: "/api/v1/users?id=42", Peer: "192.0.2.1:4711",
		Status: 200, Attempts: 1, Duration: 1234567, OriginDuration: 1200000, OriginStatus: 200, Sent: 128,
		Request: [][2]string{{"User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0)"}, {"Accept", "*/*"}},
		Router:  "users@file", Service: "users@file", Endpoint: "http://10.0.0.1:8080"}
	return d.exchange()
}

// discard throws lines away.
type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }
func (discard) Reopen() error               { return nil }
func (discard) Close() error                { return nil }

var configurations = map[string]*static.AccessLog{
	"json":       {Format: "json"},
	"common":     {Format: "common"},
	"genericCLF": {Format: "genericCLF"},
	"json with all headers": {Format: "json", Fields: static.AccessLogFields{
		Headers: static.FieldModes{DefaultMode: "keep"}}},
	"json with a header and parameters": {Format: "json", Fields: static.AccessLogFields{
		Headers:         static.FieldModes{Names: map[string]string{"User-Agent": "keep"}},
		QueryParameters: static.FieldModes{DefaultMode: "redact"}}},
}

func TestLinesAllocateNothing(t *testing.T) {
	for name, c := range configurations {
		l := start(t, c, discard{})
		x := typical()
		l.writer.close() // it takes memory as it needs; the lines are what is measured
		e := &entry{}
		n := testing.AllocsPerRun(100, func() {
			e.begin(l, x.Record.Start, 1)
			e.x = x
			e.line = l.format(l, e.line[:0], e)
			l.writer.add(e.line)
		})
		if n != 0 {
			t.Errorf("%s: %v allocations a line", name, n)
		}
	}
}

func BenchmarkObserve(b *testing.B) {
	for _, name := range slices.Sorted(maps.Keys(configurations)) {
		b.Run(name, func(b *testing.B) {
			l := start(b, configurations[name], discard{})
			defer l.Close()
			x := typical()
			b.ReportAllocs()
			for b.Loop() {
				l.Observe(x)
			}
		})
	}
}

// BenchmarkLine is BenchmarkObserve without the writer.
func BenchmarkLine(b *testing.B) {
	l := start(b, configurations["json"], discard{})
	defer l.Close()
	e := &entry{}
	x := typical()
	b.ReportAllocs()
	for b.Loop() {
		e.begin(l, x.Record.Start, 1)
		e.x = x
		e.line = l.format(l, e.line[:0], e)
	}
}
