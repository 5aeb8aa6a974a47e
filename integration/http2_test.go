//go:build linux

package integration

import (
	"bytes"
	"encoding/xml"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/pergola-mesh/pergola/integration/harness"
)

// startHTTP2 starts a gateway with the configuration of docs/examples/http2 before a backend.
func startHTTP2(t *testing.T, backend string) *harness.Gateway {
	t.Helper()
	archive := ""
	for _, name := range []string{"pergola.yaml", "routes.yaml"} {
		text, err := os.ReadFile("../docs/examples/http2/" + name)
		if err != nil {
			t.Fatal(err)
		}
		archive += "-- " + name + " --\n" + string(text)
	}
	return harness.Start(t, strings.NewReplacer(":80\n", "$WEB\n", "/etc/pergola/routes.yaml", "$DIR/routes.yaml",
		"http://10.0.0.1:8080", backend).Replace(archive), nil)
}

// patient answers what it has read to its end.
func patient(t *testing.T) string {
	return harness.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err == nil {
			io.WriteString(w, "hello")
		}
	}))
}

// TestH2spec: every case of h2spec passes, the strict ones too.
func TestH2spec(t *testing.T) {
	h2spec := harness.Tool(t, "h2spec", "h2spec")
	g := startHTTP2(t, patient(t))
	host, port, err := net.SplitHostPort(g.Web)
	if err != nil {
		t.Fatal(err)
	}
	for name, arguments := range map[string][]string{"TLS": {"-t", "-k"}, "plaintext": nil} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "report.xml")
			command := exec.Command(h2spec, append([]string{"-S", "-h", host, "-p", port, "-j", file}, arguments...)...)
			output, _ := command.CombinedOutput()
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatalf("%v\n%s", err, output)
			}
			var report struct {
				Suites []struct {
					Cases []struct {
						Name    string    `xml:"classname,attr"`
						Failure *struct{} `xml:"failure"`
						Error   *struct{} `xml:"error"`
						Skipped *struct{} `xml:"skipped"`
					} `xml:"testcase"`
				} `xml:"testsuite"`
			}
			if err := xml.Unmarshal(text, &report); err != nil {
				t.Fatal(err)
			}
			n, failed := 0, []string(nil)
			for _, suite := range report.Suites {
				for _, c := range suite.Cases {
					if n++; c.Failure != nil || c.Error != nil || c.Skipped != nil {
						failed = append(failed, c.Name)
					}
				}
			}
			if n < 140 || len(failed) > 0 {
				t.Errorf("%d cases, failed: %q\n%s", n, failed, output[max(0, len(output)-4000):])
			}
		})
	}
	// The port speaks HTTP/1.1 too, which is owed its 400: docs/decisions/what-is-not-http.md.
	for text, want := range map[string]string{"INVALID CONNECTION PREFACE\n\n": "", "GET /INVALID REQUEST LINE\n\n": "HTTP/1.1 400 "} {
		c := harness.Dial(t, g.Web)
		c.Send("%s", text)
		got, err := io.ReadAll(c)
		if err != nil || !strings.HasPrefix(string(got), want) || want == "" && len(got) > 0 {
			t.Errorf("%q: %v %q", text, err, got)
		}
	}
}

// h2conn is a client of HTTP/2 that sends and reads frames.
type h2conn struct {
	*http2.Framer
	conn  net.Conn
	t     *testing.T
	block bytes.Buffer
	enc   *hpack.Encoder
}

func dialHTTP2(t *testing.T, address string) *h2conn {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	io.WriteString(conn, http2.ClientPreface)
	c := &h2conn{Framer: http2.NewFramer(conn, conn), conn: conn, t: t}
	c.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	c.enc = hpack.NewEncoder(&c.block)
	c.WriteSettings()
	return c
}

// head sends a header block of names and values in turn.
func (c *h2conn) head(stream uint32, ends bool, pairs ...string) {
	c.block.Reset()
	for i := 0; i < len(pairs); i += 2 {
		c.enc.WriteField(hpack.HeaderField{Name: pairs[i], Value: pairs[i+1]})
	}
	c.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: c.block.Bytes(), EndStream: ends, EndHeaders: true})
}

// next is the next frame of a stream.
func (c *h2conn) next(stream uint32) http2.Frame {
	c.t.Helper()
	for {
		f, err := c.ReadFrame()
		if err != nil {
			c.t.Fatal(err)
		}
		if settings, ok := f.(*http2.SettingsFrame); ok && !settings.IsAck() {
			c.WriteSettingsAck() // who does not is cut off: RFC 9113 §6.5.3
		}
		if f.Header().StreamID == stream {
			return f
		}
	}
}

// TestWebSocketOverHTTP2: a WebSocket that is opened by an extended CONNECT reaches a server that speaks
// HTTP/1.1. RFC 8441.
func TestWebSocketOverHTTP2(t *testing.T) {
	g := startHTTP2(t, harness.Whoami(t, "one"))
	c := dialHTTP2(t, g.Web)
	settings, ok := c.next(0).(*http2.SettingsFrame)
	if !ok {
		t.Fatal("the gateway does not begin with its settings")
	}
	for id, want := range map[http2.SettingID]uint32{http2.SettingMaxConcurrentStreams: 250, http2.SettingHeaderTableSize: 8192, http2.SettingEnableConnectProtocol: 1} {
		if got, _ := settings.Value(id); got != want {
			t.Errorf("%v is %d, want %d", id, got, want)
		}
	}
	c.head(1, false, ":method", "CONNECT", ":protocol", "websocket", ":scheme", "http", ":authority", "a.test", ":path", "/echo",
		"sec-websocket-version", "13")
	head, ok := c.next(1).(*http2.MetaHeadersFrame)
	if !ok || head.PseudoValue("status") != "200" || head.StreamEnded() {
		t.Fatalf("%v", head)
	}
	for _, h := range head.RegularFields() {
		if strings.HasPrefix(h.Name, "sec-websocket-accept") || h.Name == "upgrade" {
			t.Errorf("the answer has %v", h)
		}
	}
	frame := []byte{0x81, 0x85, 1, 2, 3, 4} // a masked text of 5 bytes
	for i, b := range []byte("hello") {
		frame = append(frame, b^byte(i%4+1))
	}
	c.WriteData(1, false, frame)
	if data, ok := c.next(1).(*http2.DataFrame); !ok || !bytes.HasSuffix(data.Data(), []byte("hello")) {
		t.Fatalf("%v", data)
	}
	c.WriteData(1, false, []byte{0x88, 0x80, 0, 0, 0, 0}) // the closing handshake
	for {
		f := c.next(1)
		if data, ok := f.(*http2.DataFrame); ok && data.StreamEnded() {
			break
		}
		if _, ok := f.(*http2.DataFrame); !ok {
			t.Fatalf("%v", f)
		}
	}
}

// TestHTTP2OfCurl: an independent client is answered, over TLS by ALPN and on plaintext by prior knowledge.
func TestHTTP2OfCurl(t *testing.T) {
	g := startHTTP2(t, harness.Whoami(t, "one"))
	upload := filepath.Join(t.TempDir(), "upload")
	if err := os.WriteFile(upload, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, arguments := range [][]string{
		{"--http2-prior-knowledge", "http://" + g.Web + "/"},
		{"-k", "https://" + g.Web + "/"},
	} {
		output, err := exec.Command("curl", append([]string{"-s", "-S", "-m", "10", "-w", "%{http_version} %{http_code}", "--data-binary", "@" + upload}, arguments...)...).CombinedOutput()
		if err != nil || !bytes.HasSuffix(output, []byte("2 200")) {
			t.Errorf("%v: %v\n%.1000s", arguments, err, output)
		}
	}
}
