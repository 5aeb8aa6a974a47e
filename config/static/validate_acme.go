package static

import (
	"encoding/base64"
	"maps"
	"net"
	"net/url"
	"slices"
	"strings"
)

// keyTypes are the keys that certificates may have.
var keyTypes = []string{"EC256", "EC384", "RSA2048", "RSA3072", "RSA4096", "RSA8192"}

// resolvers checks the certificate resolvers. What is kept in one place must be told apart by name
// alone, so two resolvers may share a storage.
func (l *Loaded) resolvers() {
	all := l.Config.CertificatesResolvers
	for _, name := range slices.Sorted(maps.Keys(all)) {
		key := "certificatesResolvers." + name
		if all[name] == nil || all[name].ACME == nil {
			l.problem(key, "is empty; it needs acme")
			continue
		}
		l.acme(key+".acme", all[name].ACME)
	}
}

func (l *Loaded) acme(key string, a *ACME) {
	if a.HTTPChallenge == nil && a.TLSChallenge == nil && a.DNSChallenge == nil {
		l.problem(key, "has no way to prove names; add httpChallenge, tlsChallenge or dnsChallenge")
	}
	if u, err := url.Parse(a.CAServer); err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
		l.problem(key+".caServer", "is %q; it must be the URL of an ACME directory", a.CAServer)
	} else if u.Scheme == "http" && !isLoopback(u.Hostname()) {
		l.problem(key+".caServer", "is %q; it must be https, but on loopback", a.CAServer)
	}
	if a.KeyType == "" {
		a.KeyType = defaultKeyType
	}
	l.oneOf(key+".keyType", &a.KeyType, keyTypes...)
	l.positive(key+".certificatesDuration", a.CertificatesDuration)
	l.acmeStorage(key+".storage", a)
	if a.EAB != nil {
		l.eab(key+".eab", a.EAB)
	}
	if len(a.CACertificates) == 0 && a.CASystemCertPool {
		l.problem(key+".caSystemCertPool", "does nothing without caCertificates; remove it")
	}
	if h := a.HTTPChallenge; h != nil {
		if h.EntryPoint == "" {
			l.problem(key+".httpChallenge.entryPoint", "is missing; it names the entry point that port 80 leads to")
		} else {
			l.entryPoint(key+".httpChallenge.entryPoint", h.EntryPoint)
		}
	}
	if d := a.DNSChallenge; d != nil && d.Provider == "" {
		l.problem(key+".dnsChallenge.provider", "is missing; it names the DNS service")
	}
}

func (l *Loaded) acmeStorage(key string, a *ACME) {
	switch scheme, err := a.storageScheme(); {
	case a.Storage == "":
		l.problem(key, "is missing; it is a file, such as acme.json, or redis://host:port")
	case !a.SharedStorage():
	case err != nil: // the error would show the password
		l.problem(key, "is not a valid URL; it must be redis://[user:password@]host:port[/db][?prefix=name]")
	case !slices.Contains([]string{"redis", "rediss", "unix"}, scheme):
		l.problem(key, "begins with %s://; it must be a file, or a URL that begins with redis://, rediss:// or unix://", scheme)
	}
}

func (l *Loaded) eab(key string, e *EAB) {
	if e.Kid == "" {
		l.problem(key+".kid", "is missing; the authority gives it together with hmacEncoded")
	}
	if e.HmacEncoded == "" {
		l.problem(key+".hmacEncoded", "is missing; the authority gives it together with kid")
	} else if _, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(e.HmacEncoded, "=")); err != nil {
		l.problem(key+".hmacEncoded", "is not base64url; give it as the authority did")
	}
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
