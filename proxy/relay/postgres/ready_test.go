package postgres

import (
	"bytes"
	"io"
	"strings"
	"testing"
)

// server is a server of which all that it will say is there.
type server struct {
	io.Reader
	told bytes.Buffer
}

func (s *server) Write(p []byte) (int, error) { return s.told.Write(p) }

// Whatever a server says, it is told a login, and farewell only if it let that in. It takes logins only if it
// says so.
func FuzzReady(f *testing.F) {
	for _, said := range []string{
		"R\x00\x00\x00\x08\x00\x00\x00\x00Z\x00\x00\x00\x05I", "R\x00\x00\x00\x08\x00\x00\x00\x03", "R\x00\x00\x00\x04", "R\x00\x00\x00\x03",
		"E\x00\x00\x00\x0fC28000\x00Mno\x00\x00", "E\x00\x00\x00\x10C57P03\x00Mnot\x00\x00", "E\x00\x00\x00\x04", "E\xff\xff\xff\xffC28", "N", "",
	} {
		f.Add(said)
	}
	login := string(appendStartup(nil, "jane"))
	f.Fuzz(func(t *testing.T, said string) {
		s := &server{Reader: strings.NewReader(said)}
		err := Ready(s, "jane")
		told := s.told.String()
		letIn := strings.HasPrefix(said, "R") && len(said) >= 9 && said[5:9] == "\x00\x00\x00\x00"
		switch {
		case told != login && told != login+string(terminate), told != login && !letIn:
			t.Errorf("it is told %q", told)
		case err == nil && !strings.HasPrefix(said, "R") && !strings.Contains(said, "C28") && !strings.Contains(said, "C3D000"):
			t.Errorf("%q is taken for a server that takes logins", said)
		}
	})
}

func TestAsk(t *testing.T) {
	for said, want := range map[string]string{"S": "", "N": "the server does not do TLS", "": "EOF", "Efoo": "does not do TLS"} {
		s := &server{Reader: strings.NewReader(said + "more")}
		if said == "" {
			s.Reader = strings.NewReader("")
		}
		err := Ask(s)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %v", said, err)
		}
		if !bytes.Equal(s.told.Bytes(), Request) {
			t.Errorf("it was asked %q", s.told.Bytes())
		}
		if rest, _ := io.ReadAll(s); said == "S" && string(rest) != "more" {
			t.Errorf("%q of what comes after is left", rest)
		}
	}
}
