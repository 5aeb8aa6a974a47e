package acme

import (
	"context"
	"crypto/tls"
	"sync"
	"time"

	"github.com/go-acme/lego/v5/challenge/tlsalpn01"

	"github.com/pergola-mesh/pergola/identity/acme/storage"
)

// presenter puts the answers to challenges where all gateways find them.
type presenter struct{ storage storage.Storage }

func (p presenter) http() *provider {
	return &provider{p.storage, func(name, token, proof string) storage.Challenge {
		return storage.Challenge{Kind: storage.HTTP01, Key: token, Name: identifier(name), KeyAuthorization: proof}
	}}
}

func (p presenter) tls() *provider {
	return &provider{p.storage, func(name, _, proof string) storage.Challenge {
		return storage.Challenge{Kind: storage.TLSALPN01, Key: identifier(name), Name: name, KeyAuthorization: proof}
	}}
}

// identifier is the normal form of what an authority calls a name.
func identifier(name string) string {
	if normal, err := normalName(name); err == nil {
		return normal
	}
	return name
}

// provider is lego's way to have challenges answered.
type provider struct {
	storage storage.Storage
	make    func(name, token, proof string) storage.Challenge
}

func (p *provider) Present(ctx context.Context, name, token, proof string) error {
	return p.storage.Present(ctx, p.make(name, token, proof))
}

func (p *provider) CleanUp(ctx context.Context, name, token, proof string) error {
	// The order may have been given up: the answer goes all the same.
	return p.storage.Withdraw(context.WithoutCancel(ctx), p.make(name, token, proof))
}

// askers bounds how many requests may ask the storages at a time: anybody can send them.
const askers = 32

// answers finds what challenges ask for.
type answers struct {
	storages []storage.Storage
	asking   chan struct{}

	mu    sync.Mutex
	certs map[storage.Challenge]*tls.Certificate // made for TLS-ALPN-01, lately
}

// answerTime bounds the search for an answer.
const answerTime = 3 * time.Second

// find returns the first answer that a storage has.
func (a *answers) find(ctx context.Context, kind, key string) (storage.Challenge, bool) {
	select {
	case a.asking <- struct{}{}:
		defer func() { <-a.asking }()
	default:
		return storage.Challenge{}, false
	}
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	for _, s := range a.storages {
		if c, ok, err := s.Find(ctx, kind, key); err == nil && ok {
			return c, true
		}
	}
	return storage.Challenge{}, false
}

// validToken says whether a token is one that an authority may have sent. RFC 8555 §8.3.
func validToken(token string) bool {
	if len(token) < 16 || len(token) > 256 {
		return false
	}
	for i := range len(token) {
		switch c := token[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_':
		default:
			return false
		}
	}
	return true
}

// http returns the answer to HTTP-01 for a host and token.
func (a *answers) http(ctx context.Context, host, token string) (proof string, ok bool) {
	name, err := normalName(host)
	if err != nil || !validToken(token) {
		return "", false
	}
	c, ok := a.find(ctx, storage.HTTP01, token)
	if !ok || c.Name != name {
		return "", false
	}
	return c.KeyAuthorization, true
}

// tls returns the certificate that answers TLS-ALPN-01 for a name; nil when there is none.
func (a *answers) tls(ctx context.Context, serverName string) *tls.Certificate {
	name, err := normalName(arpaAddress(serverName))
	if err != nil {
		return nil
	}
	c, ok := a.find(ctx, storage.TLSALPN01, name)
	if !ok {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if made := a.certs[c]; made != nil {
		return made
	}
	made, err := tlsalpn01.ChallengeCert(c.Name, c.KeyAuthorization)
	if err != nil {
		return nil
	}
	if a.certs == nil || len(a.certs) >= askers {
		a.certs = map[storage.Challenge]*tls.Certificate{}
	}
	a.certs[c] = made
	return made
}
