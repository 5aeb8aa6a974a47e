package exchange

import (
	"bytes"
	"testing"
)

func received(t *testing.T, block string) *Header {
	t.Helper()
	h := &Header{}
	raw := []byte(block)
	h.Reset(raw)
	for at := 0; at < len(raw); {
		end := at + bytes.Index(raw[at:], []byte("\r\n")) + 2
		colon := at + bytes.IndexByte(raw[at:end], ':')
		value := colon + 1
		for raw[value] == ' ' {
			value++
		}
		h.AddReceived(Identify(raw[at:colon]), at, colon-at, value, end-2, end)
		at = end
	}
	return h
}

func TestHeaderEdits(t *testing.T) {
	h := received(t, "Accept: a\r\nX-One: 1\r\nCookie: c\r\nx-one: 2\r\nServer:  s\r\n")
	one := NewName("X-One")
	if got := string(h.Get(one)); got != "1" {
		t.Errorf("Get = %q", got)
	}
	n := 0
	for range h.Values(one) {
		n++
	}
	if n != 2 || h.Len() != 5 {
		t.Errorf("values %d, len %d", n, h.Len())
	}
	h.Set(one, "new")
	h.Del(Cookie)
	h.Add(Via, "1.1 x\r\nEvil: 1")
	h.SetBytes(Accept, h.Get(Server))
	want := "Accept: s\r\nX-One: new\r\nServer:  s\r\nVia: 1.1 x  Evil: 1\r\n"
	if got := string(h.AppendTo(nil)); got != want {
		t.Errorf("got\n%s want\n%s", got, want)
	}
	if h.Has(Cookie) || h.Len() != 4 {
		t.Errorf("cookie %v, len %d", h.Has(Cookie), h.Len())
	}
	var c Header
	c.CopyFrom(h)
	h.Reset(nil)
	if got := string(c.AppendTo(nil)); got != want || string(c.Get(one)) != "new" {
		t.Errorf("copy %s", got)
	}
}

func TestHeaderAllocatesNothing(t *testing.T) {
	h := received(t, "Accept: a\r\nX-One: 1\r\nCookie: c\r\nServer: s\r\n")
	one, dst := NewName("X-One"), make([]byte, 0, 1024)
	raw := h.raw
	n := testing.AllocsPerRun(100, func() {
		h.Reset(raw)
		h.AddReceived(acceptID, 0, 6, 8, 9, 11)
		h.Set(one, "2")
		h.Add(XRealIP, "1.2.3.4")
		for v := range h.Values(Cookie) {
			_ = v
		}
		h.Del(one)
		dst = h.AppendTo(dst[:0])
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestNamesAreKnown(t *testing.T) {
	if idCount > 64 {
		t.Fatal("more well-known names than bits")
	}
	if len(wellKnown) != int(idCount)-1 {
		t.Fatalf("%d names for %d ids", len(wellKnown), idCount-1)
	}
	for _, n := range wellKnown {
		if Identify(n.text) != n.id || Identify(bytes.ToUpper([]byte(n.text))) != n.id {
			t.Errorf("%s is not identified", n.text)
		}
	}
	if Identify("X-Unknown") != otherID || Identify("") != otherID {
		t.Error("unknown name identified")
	}
}

func TestList(t *testing.T) {
	var got []string
	for item := range List([]byte(` a, "b,c" ,, d"\",e",f`)) {
		got = append(got, string(item))
	}
	want := []string{"a", `"b,c"`, `d"\",e"`, "f"}
	if len(got) != len(want) {
		t.Fatalf("%q", got)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("%q, want %q", got[i], want[i])
		}
	}
}

func TestHostname(t *testing.T) {
	for in, want := range map[string]string{"a": "a", "a:80": "a", "[::1]:80": "::1", "[::1]": "::1", "a.b:": "a.b", "": ""} {
		if got := string(Hostname([]byte(in))); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestRescue(t *testing.T) {
	var x Exchange
	var life Life
	x.Reset(&Conn{}, &life, nil)
	Rescue(&x, NoEndpoint.Withf("all %d down", 3))
	if x.Response.Status != 503 || x.Record.Kind != NoEndpoint || string(x.Response.Header.Get(ContentType)) == "" {
		t.Errorf("%+v", x.Response)
	}
	b, whole := WholeOf(x.Response.Body)
	if !whole || string(b) != "Service Unavailable\n" {
		t.Errorf("%q", b)
	}
	if err := NoEndpoint.With(NoEndpoint.Withf("down")); err.Error() != "no_endpoint: down" {
		t.Errorf("a kind is told twice: %v", err)
	}
	if err := DialFailed.With(NoEndpoint.Withf("down")); KindOf(err) != DialFailed {
		t.Errorf("the outer kind is lost: %v", err)
	}
	for k := Internal; k <= Draining; k++ {
		if k.Error() == "" || k.Status() < 400 {
			t.Errorf("kind %d is not mapped", k)
		}
	}
}

// What is detached stays as it is when the memory it came in is used again.
func TestDetach(t *testing.T) {
	var x Exchange
	raw := []byte("a: 1\r\nb: 2\r\nhost path query target websocket")
	r := &x.Request
	r.Header.Reset(raw)
	r.Header.AddReceived(Identify([]byte("a")), 0, 1, 3, 4, 6)
	r.Header.AddReceived(Identify([]byte("b")), 6, 1, 9, 10, 12)
	r.Header.Del(NewName("a"))
	r.Header.Add(NewName("c"), "3")
	r.Host, r.Path, r.Query, r.Target, r.Upgrade = raw[12:16], raw[17:21], raw[22:27], raw[28:34], raw[35:]
	x.Response.Header.Reset(raw)
	x.Response.Header.AddReceived(Identify([]byte("a")), 0, 1, 3, 4, 6)
	x.Response.Upgrade = raw[35:]
	r.Detach()
	x.Response.Detach()
	clear(raw)
	got := string(r.Header.AppendTo(nil)) + string(x.Response.Header.AppendTo(nil)) + string(bytes.Join([][]byte{r.Host, r.Path, r.Query, r.Target, r.Upgrade, x.Response.Upgrade}, []byte(" ")))
	if want := "b: 2\r\nc: 3\r\na: 1\r\nhost path query target websocket websocket"; got != want {
		t.Errorf("%q", got)
	}
	if r.Header.Has(NewName("a")) || r.Header.Len() != 2 || r.Query == nil {
		t.Error("a field that was deleted is there again")
	}
}
