// Package digestauth is the digestAuth middleware: it lets only requests through whose client knows a
// listed user's password, without the password being sent. RFC 7616, with MD5 as htdigest files have it.
package digestauth

import (
	"crypto/md5"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/pergola-mesh/pergola/middlewares/internal/login"
	"github.com/pergola-mesh/pergola/proxy/exchange"
)

// Config is the middleware's configuration.
type Config struct {
	// Users are lines of an htdigest file, "name:realm:hash".
	Users []string `json:"users,omitempty"`
	// UsersFile is an htdigest file. A user that Users lists too has the password given there.
	UsersFile string `json:"usersFile,omitempty"`
	// Realm is what the client is told it authenticates for; "traefik" when unset. Users of other realms
	// do not count.
	Realm string `json:"realm,omitempty"`
	// RemoveHeader keeps the Authorization field from the server.
	RemoveHeader bool `json:"removeHeader,omitempty"`
	// HeaderField is the request field that tells the server the user's name; empty for none.
	HeaderField string `json:"headerField,omitempty"`
}

// New makes the middleware. ReadFile reads the users file.
func New(config Config, readFile func(path string) ([]byte, error)) (exchange.Middleware, error) {
	lines, err := login.Lines(config.Users, config.UsersFile, readFile)
	if err != nil {
		return nil, err
	}
	a := &authenticator{realm: login.Realm(config.Realm), pass: login.NewPass(config.HeaderField, config.RemoveHeader), nonces: newNonces()}
	if strings.ContainsAny(a.realm, "\"\\\r\n") {
		return nil, fmt.Errorf("realm %q has a quote, backslash or line break in it", a.realm)
	}
	if a.users, err = parseUsers(lines, a.realm); err != nil {
		return nil, err
	}
	return func(next exchange.Handler) exchange.Handler { return &handler{a, next} }, nil
}

// parseUsers reads lines of htdigest files: the hashes of a realm's users by name. The last line of a name
// counts.
func parseUsers(lines []string, realm string) (map[string]string, error) {
	users := map[string]string{}
	for _, line := range lines {
		parts := strings.Split(line, ":")
		if len(parts) != 3 || parts[0] == "" {
			return nil, errors.New("a user is not of the form name:realm:hash, as htdigest writes it")
		}
		hash := strings.ToLower(parts[2])
		if b, err := hex.DecodeString(hash); err != nil || len(b) != md5.Size {
			return nil, fmt.Errorf("user %s: the hash is not 32 hexadecimal digits, as htdigest writes it", parts[0])
		}
		if parts[1] == realm {
			users[parts[0]] = hash
		}
	}
	return users, nil
}

// authenticator is what all routers that use the middleware share.
type authenticator struct {
	users  map[string]string // hash of name, realm and password, by name
	realm  string
	nonces *nonces
	pass   login.Pass
}

type handler struct {
	*authenticator
	next exchange.Handler
}

// Handle lets the request through when its credentials are good.
func (h *handler) Handle(x *exchange.Exchange) error {
	h.pass.Clean(x)
	name, stale := h.authenticate(&x.Request)
	if name == "" {
		challenge := `Digest realm="` + h.realm + `", qop="auth", algorithm=MD5, nonce="` + h.nonces.issue() + `"`
		if stale {
			challenge += ", stale=true"
		}
		return login.Challenge(x, challenge)
	}
	h.pass.Admit(x, name)
	return h.next.Handle(x)
}

// authenticate returns who the credentials of r are good for, empty for nobody. Stale says that they
// were, but for a nonce that is too old: the client can answer another without asking its user.
func (a *authenticator) authenticate(r *exchange.Request) (name string, stale bool) {
	c, ok := parseCredentials(&r.Header)
	if !ok || c.realm != a.realm || c.uri != string(r.Target) {
		return "", false
	}
	hash, known := a.users[c.username]
	if !known {
		hash = "00000000000000000000000000000000" // so that unknown names take as long
	}
	good := subtle.ConstantTimeCompare([]byte(c.response), []byte(c.expected(hash, r.Method))) == 1
	if !good || !known {
		return "", false
	}
	switch a.nonces.use(c.nonce, c.count) {
	case fresh:
		return c.username, false
	case old:
		return "", true
	}
	return "", false
}
