package exchange

import "testing"

func TestLines(t *testing.T) {
	h := received(t, "X-Real-Ip: evil\r\nAccept: a\r\nForwarded: evil\r\n")
	h.Add(Via, "1")
	h.DelSet(NewNameSet(XRealIP, Forwarded, XForwardedFor))
	if h.Has(XRealIP) || h.Has(Forwarded) || h.Len() != 2 {
		t.Errorf("not removed: %s", h.AppendTo(nil))
	}
	h.AddLines(NewLines(Field{Name: XRealIP, Value: "1.2.3.4"}, Field{Name: NewName("X-Other"), Value: "o"}))
	want := "Accept: a\r\nVia: 1\r\nX-Real-Ip: 1.2.3.4\r\nX-Other: o\r\n"
	if got := string(h.AppendTo(nil)); got != want || h.Len() != 4 || string(h.Get(NewName("x-other"))) != "o" {
		t.Errorf("%s", got)
	}
}

func TestLinesWithBlanks(t *testing.T) {
	h := received(t, "Accept: a\r\n")
	h.Add(Via, "1")
	l := NewLines(Field{Name: XForwardedProto, Value: "http"}, Field{Name: XForwardedFor, Blank: true}, Field{Name: Server},
		Field{Name: XForwardedHost, Blank: true}, Field{Name: XForwardedPort, Blank: true}, Field{Name: XRequestID, Value: "7"})
	for range 2 { // they are as they were
		h.DelSet(NewNameSet(XForwardedProto, XForwardedFor, Server, XForwardedHost, XForwardedPort, XRequestID))
		h.AddLines(l, []byte("1.2.3.4"), nil, []byte("80"))
	}
	want := "Accept: a\r\nVia: 1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-For: 1.2.3.4\r\nServer: \r\n" +
		"X-Forwarded-Host: \r\nX-Forwarded-Port: 80\r\nX-Request-Id: 7\r\n"
	if got := string(h.AppendTo(nil)); got != want || h.Len() != 8 {
		t.Errorf("%d fields:\n%s", h.Len(), got)
	}
	for n, want := range map[Name]string{XForwardedProto: "http", XForwardedFor: "1.2.3.4", Server: "", XForwardedHost: "",
		XForwardedPort: "80", XRequestID: "7", Via: "1", Accept: "a"} {
		if got := h.Get(n); got == nil || string(got) != want {
			t.Errorf("%s: %q", n, got)
		}
	}
}
