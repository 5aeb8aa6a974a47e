package exchange

import "testing"

func TestLines(t *testing.T) {
	h := received(t, "X-Real-Ip: evil\r\nAccept: a\r\nForwarded: evil\r\n")
	h.Add(Via, "1")
	h.DelSet(NewNameSet(XRealIP, Forwarded, XForwardedFor))
	if h.Has(XRealIP) || h.Has(Forwarded) || h.Len() != 2 {
		t.Errorf("not removed: %s", h.AppendTo(nil))
	}
	h.AddLines(NewLines(Field{XRealIP, "1.2.3.4"}, Field{NewName("X-Other"), "o"}))
	want := "Accept: a\r\nVia: 1\r\nX-Real-Ip: 1.2.3.4\r\nX-Other: o\r\n"
	if got := string(h.AppendTo(nil)); got != want || h.Len() != 4 || string(h.Get(NewName("x-other"))) != "o" {
		t.Errorf("%s", got)
	}
}
