package exchange

import (
	"encoding/base64"
	"errors"
	"fmt"
	"testing"
)

// TestRescueGRPC: a gRPC client is told of a failure in its own terms, without the cause.
func TestRescueGRPC(t *testing.T) {
	for _, c := range []struct {
		contentType string
		err         error
		want        string
	}{
		{"application/grpc", NoEndpoint.With(errors.New("secret")), "200 application/grpc 14 Service Unavailable"},
		{"application/grpc+proto", UpstreamTimeout, "200 application/grpc 4 Gateway Timeout"},
		{"application/grpc; x=y", NotFound, "200 application/grpc 12 Not Found"},
		{"Application/GRPC", ClientAbort, "200 application/grpc 1 Client Closed Request"},
		{"application/grpc-webby", NotFound, "404 text/plain; charset=utf-8  "},
		{"application/json", NotFound, "404 text/plain; charset=utf-8  "},
		{"", Forbidden, "403 text/plain; charset=utf-8  "},
	} {
		var x Exchange
		if c.contentType != "" {
			x.Request.Header.Add(ContentType, c.contentType)
		}
		Rescue(&x, c.err)
		h := &x.Response.Header
		got := fmt.Sprintf("%d %s %s %s", x.Response.Status, h.Get(ContentType), h.Get(GRPCStatus), h.Get(GRPCMessage))
		if got != c.want || !x.Record.Failed || x.Record.Kind != KindOf(c.err) {
			t.Errorf("%s, %v: %q", c.contentType, c.err, got)
		}
		if grpc := h.Has(GRPCStatus); grpc && (x.Response.Body != nil || x.Response.Length != 0) {
			t.Errorf("%s, %v: there is a body", c.contentType, c.err)
		}
	}
	for k := range kinds {
		if Kind(k).GRPC() == 0 {
			t.Errorf("%v is OK to gRPC", Kind(k))
		}
	}
}

// TestRescueGRPCWeb: a page is told in the body, where it can read it.
func TestRescueGRPCWeb(t *testing.T) {
	const frame = "\x80\x00\x00\x00\x2agrpc-status: 12\r\ngrpc-message: Not Found\r\n"
	for contentType, want := range map[string]string{
		"application/grpc-web":            frame,
		"application/grpc-web+json":       frame,
		"Application/Grpc-Web-Text+proto": base64.StdEncoding.EncodeToString([]byte(frame)),
	} {
		var x Exchange
		x.Request.Header.Add(ContentType, contentType)
		Rescue(&x, NotFound)
		p := &x.Response
		body, _ := WholeOf(p.Body)
		kind, _ := CallOf(&p.Header)
		asked, _ := CallOf(&x.Request.Header)
		if p.Status != 200 || string(body) != want || p.Length != int64(len(want)) || kind != asked || p.Header.Has(GRPCStatus) || p.Ended != 13 {
			t.Errorf("%s: %d, %v, %q", contentType, p.Status, kind, body)
		}
	}
}

func TestRefuse(t *testing.T) {
	for status, code := range map[int]string{400: "13", 401: "16", 403: "7", 404: "12", 429: "14", 502: "14", 503: "14", 504: "14", 418: "2", 500: "2"} {
		var x Exchange
		x.Refuse(status)
		if body, _ := WholeOf(x.Response.Body); x.Response.Status != status || string(body) != string(StatusText(status)) {
			t.Errorf("%d is answered with %d %q", status, x.Response.Status, body)
		}
		x.Request.Header.Add(ContentType, "application/grpc")
		x.Refuse(status)
		if got := string(x.Response.Header.Get(GRPCStatus)); x.Response.Status != 200 || got != code {
			t.Errorf("%d ends a call with %s, want %s", status, got, code)
		}
	}
}

func TestPercentEncode(t *testing.T) {
	if got := percentEncode("100% sûr\n"); got != "100%25 s%C3%BBr%0A" {
		t.Error(got)
	}
}
