package exchange

import (
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
		{"application/grpc-web", NotFound, "404 text/plain; charset=utf-8  "},
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

func TestPercentEncode(t *testing.T) {
	if got := percentEncode("100% sûr\n"); got != "100%25 s%C3%BBr%0A" {
		t.Error(got)
	}
}
