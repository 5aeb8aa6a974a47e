// Package basicauth is the basicAuth middleware: it lets only requests with a listed user's name and
// password through. RFC 7617.
package basicauth

import (
	"bytes"
	"encoding/base64"
	"runtime"
	"strings"

	"github.com/pergola-mesh/pergola/middlewares/internal/login"
	"github.com/pergola-mesh/pergola/proxy/exchange"
)

// Config is the middleware's configuration.
type Config struct {
	// Users are lines of an htpasswd file, "name:hash".
	Users []string `json:"users,omitempty"`
	// UsersFile is an htpasswd file. A user that Users lists too has the password given there.
	UsersFile string `json:"usersFile,omitempty"`
	// Realm is what the client is told it authenticates for; "traefik" when unset.
	Realm string `json:"realm,omitempty"`
	// RemoveHeader keeps the credentials from the server.
	RemoveHeader bool `json:"removeHeader,omitempty"`
	// HeaderField is the request field that tells the server the user's name; empty for none.
	HeaderField string `json:"headerField,omitempty"`
}

// maxCredentials bounds the decoded "name:password", in bytes.
const maxCredentials = 1024

// New makes the middleware. ReadFile reads the users file.
func New(config Config, readFile func(path string) ([]byte, error)) (exchange.Middleware, error) {
	lines, err := login.Lines(config.Users, config.UsersFile, readFile)
	if err != nil {
		return nil, err
	}
	users, err := parseUsers(lines)
	if err != nil {
		return nil, err
	}
	a := &authenticator{
		users:     users,
		decoy:     costliest(users),
		verified:  newCache(),
		busy:      make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2)),
		challenge: `Basic realm="` + quote(login.Realm(config.Realm)) + `"`,
		pass:      login.NewPass(config.HeaderField, config.RemoveHeader),
	}
	return func(next exchange.Handler) exchange.Handler { return &handler{a, next} }, nil
}

func quote(realm string) string {
	return strings.NewReplacer(`"`, `\"`, `\`, `\\`).Replace(realm)
}

// authenticator is what all routers that use the middleware share.
type authenticator struct {
	users     map[string]*user
	decoy     secret // checked in place of an unknown user's
	verified  *cache
	busy      chan struct{} // a place for every password that is being hashed
	challenge string
	pass      login.Pass
}

type handler struct {
	*authenticator
	next exchange.Handler
}

// Handle lets the request through when its credentials are good.
func (h *handler) Handle(x *exchange.Exchange) error {
	h.pass.Clean(x)
	u, err := h.authenticate(x)
	if err != nil {
		return err
	}
	if u == nil {
		return login.Challenge(x, h.challenge)
	}
	h.pass.Admit(x, u.name)
	return h.next.Handle(x)
}

// authenticate returns who the credentials of x are good for, nil for nobody. The error is only that
// the client went away meanwhile.
func (a *authenticator) authenticate(x *exchange.Exchange) (*user, error) {
	var buf [maxCredentials]byte
	credentials := credentials(&x.Request.Header, buf[:])
	name, password, ok := bytes.Cut(credentials, []byte(":"))
	if !ok {
		return nil, nil
	}
	key := a.verified.key(credentials)
	if u := a.verified.get(key); u != nil {
		return u, nil
	}
	select {
	case a.busy <- struct{}{}:
	case <-x.Context().Done():
		return nil, exchange.ClientAbort
	}
	defer func() { <-a.busy }()
	if u := a.verified.get(key); u != nil { // somebody else did the work while we waited
		return u, nil
	}
	u, known := a.users[string(name)]
	secret := a.decoy
	if known {
		secret = u.secret
	}
	if good := secret.matches(bytes.Clone(password)); !good || !known { // a clone, so that buf stays on the stack
		return nil, nil
	}
	a.verified.put(key, u)
	return u, nil
}

// credentials decodes the one Authorization field into buf; nil when there is none, more than one,
// or one of another scheme.
func credentials(h *exchange.Header, buf []byte) []byte {
	var value []byte
	for v := range h.Values(exchange.Authorization) {
		if value != nil {
			return nil
		}
		value = v
	}
	const scheme = "Basic "
	if len(value) < len(scheme) || !exchange.EqualFold(value[:len(scheme)], scheme) ||
		base64.StdEncoding.DecodedLen(len(value)-len(scheme)) > len(buf) {
		return nil
	}
	n, err := base64.StdEncoding.Decode(buf, value[len(scheme):])
	if err != nil {
		return nil
	}
	return buf[:n]
}
