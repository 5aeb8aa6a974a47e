package upstream

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"

	"github.com/pergola-mesh/pergola/proxy/exchange"
)

// Cookie is the cookie that remembers a client's server.
type Cookie struct {
	// Name is derived from the service's name, as Traefik does, when empty.
	Name             string
	Secure, HTTPOnly bool
	// SameSite is none, lax, strict, or empty to leave it out.
	SameSite string
	// MaxAge in seconds; 0 makes a session cookie, negative expires it at once.
	MaxAge int
	// Path is "/" when empty.
	Path, Domain string
}

// sticky finds and sets a cookie that names one of several things by a hash: the same one in every
// process and after every reload, and not what it is called.
type sticky struct {
	cookie http.Cookie
	byHash map[string]int
	lines  []string // the value of Set-Cookie for each
}

// newSticky returns nil, which never finds anything, when c is nil.
func newSticky(service string, c *Cookie) (*sticky, error) {
	if c == nil {
		return nil, nil
	}
	s := &sticky{byHash: map[string]int{}, cookie: http.Cookie{
		Name: cookieName(c.Name, service), Path: c.Path, Domain: c.Domain, MaxAge: c.MaxAge,
		Secure: c.Secure, HttpOnly: c.HTTPOnly,
	}}
	if s.cookie.Path == "" {
		s.cookie.Path = "/"
	}
	switch strings.ToLower(c.SameSite) {
	case "":
	case "none":
		s.cookie.SameSite = http.SameSiteNoneMode
	case "lax":
		s.cookie.SameSite = http.SameSiteLaxMode
	case "strict":
		s.cookie.SameSite = http.SameSiteStrictMode
	default:
		return nil, fmt.Errorf("sticky cookie: sameSite %q is not none, lax or strict", c.SameSite)
	}
	if err := s.cookie.Valid(); err != nil {
		return nil, fmt.Errorf("sticky cookie: %w", err)
	}
	return s, nil
}

// cookieName is the configured name with what a name cannot hold replaced, or one made from the
// service's name.
func cookieName(name, service string) string {
	if name == "" {
		sum := sha1.Sum([]byte("_TRAEFIK_BACKEND_" + service))
		return "_" + hex.EncodeToString(sum[:])[:5]
	}
	return strings.Map(func(r rune) rune {
		if r < 0x80 && (r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("!#$%&'*+-.^`|~", r)) {
			return r
		}
		return '_'
	}, name)
}

// add gives the next index to what is called name.
func (s *sticky) add(name string) {
	if s == nil {
		return
	}
	sum := sha256.Sum256([]byte(name))
	cookie := s.cookie
	cookie.Value = hex.EncodeToString(sum[:8])
	if _, taken := s.byHash[cookie.Value]; !taken {
		s.byHash[cookie.Value] = len(s.lines)
	}
	s.lines = append(s.lines, cookie.String())
}

// find returns the index that x's cookie names; -1 when there is none.
func (s *sticky) find(x *exchange.Exchange) int {
	if s == nil {
		return -1
	}
	for line := range x.Request.Header.Values(exchange.Cookie) {
		for len(line) > 0 {
			pair, rest, _ := bytes.Cut(line, []byte(";"))
			line = rest
			name, value, _ := bytes.Cut(bytes.TrimSpace(pair), []byte("="))
			if string(name) != s.cookie.Name {
				continue
			}
			if i, ok := s.byHash[string(bytes.Trim(value, `"`))]; ok {
				return i
			}
		}
	}
	return -1
}

// set makes the response remember index i.
func (s *sticky) set(x *exchange.Exchange, i int) {
	x.Response.Header.Add(exchange.SetCookie, s.lines[i])
}
