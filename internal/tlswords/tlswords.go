// Package tlswords reads the words that a configuration has for versions, cipher suites, curves and
// ways of asking for client certificates: the names of crypto/tls.
package tlswords

import (
	"crypto/tls"
	"fmt"
	"maps"
	"slices"
	"strings"
)

var versions = map[string]uint16{
	"VersionTLS10": tls.VersionTLS10, "VersionTLS11": tls.VersionTLS11,
	"VersionTLS12": tls.VersionTLS12, "VersionTLS13": tls.VersionTLS13,
}

// Versions reads a lowest and a highest version. Empty means TLS 1.2 for the lowest, and 0, the
// newest, for the highest.
func Versions(lowest, highest string) (low, high uint16, err error) {
	low = tls.VersionTLS12
	if lowest != "" {
		if low, err = version(lowest); err != nil {
			return 0, 0, fmt.Errorf("minVersion: %w", err)
		}
	}
	if highest == "" {
		return low, 0, nil
	}
	if high, err = version(highest); err != nil {
		return 0, 0, fmt.Errorf("maxVersion: %w", err)
	}
	if high < low {
		if lowest == "" {
			return 0, 0, fmt.Errorf("maxVersion %s is below minVersion, which is VersionTLS12 unless it is set", highest)
		}
		return 0, 0, fmt.Errorf("maxVersion %s is below minVersion %s", highest, lowest)
	}
	return low, high, nil
}

func version(name string) (uint16, error) {
	if v, ok := versions[name]; ok {
		return v, nil
	}
	return 0, fmt.Errorf("%q is not a version: use VersionTLS10, VersionTLS11, VersionTLS12 or VersionTLS13", name)
}

// otherSuites are names beside those that crypto/tls gives its suites: older ones of two, and the signal
// of a client that falls back, which is none and heard in any case. RFC 7507.
var otherSuites = map[string]uint16{
	"TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305":   tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
	"TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305": tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
	"TLS_FALLBACK_SCSV":                      tls.TLS_FALLBACK_SCSV,
}

// Suites reads the names of cipher suites, which are those of IANA. What it returns is empty only if names is.
func Suites(names []string) (ids []uint16, err error) {
	known := append(tls.CipherSuites(), tls.InsecureCipherSuites()...)
	for _, name := range names {
		if id, ok := otherSuites[name]; ok {
			ids = append(ids, id)
			continue
		}
		i := slices.IndexFunc(known, func(s *tls.CipherSuite) bool { return s.Name == name })
		if i < 0 {
			return nil, fmt.Errorf("cipherSuites: %q is not a suite that this build knows", name)
		}
		ids = append(ids, known[i].ID)
	}
	return ids, nil
}

var curves = map[string]tls.CurveID{
	"CurveP256": tls.CurveP256, "CurveP384": tls.CurveP384, "CurveP521": tls.CurveP521, "X25519": tls.X25519,
	"X25519MLKEM768": tls.X25519MLKEM768, "SecP256r1MLKEM768": tls.SecP256r1MLKEM768, "SecP384r1MLKEM1024": tls.SecP384r1MLKEM1024,
	// The older names, from RFC 8446 §4.2.7.
	"secp256r1": tls.CurveP256, "secp384r1": tls.CurveP384, "secp521r1": tls.CurveP521, "x25519": tls.X25519,
}

// Curves reads the names of key exchange groups.
func Curves(names []string) (ids []tls.CurveID, err error) {
	for _, name := range names {
		id, ok := curves[name]
		if !ok {
			return nil, fmt.Errorf("curvePreferences: %q is not a curve that this build knows: use some of %s", name, list(curves))
		}
		ids = append(ids, id)
	}
	return ids, nil
}

var clientAuths = map[string]tls.ClientAuthType{
	"NoClientCert": tls.NoClientCert, "RequestClientCert": tls.RequestClientCert, "RequireAnyClientCert": tls.RequireAnyClientCert,
	"VerifyClientCertIfGiven": tls.VerifyClientCertIfGiven, "RequireAndVerifyClientCert": tls.RequireAndVerifyClientCert,
}

// ClientAuth reads how clients are asked for certificates. Empty means not at all, or, when there are
// authorities to verify them by, that they must have one.
func ClientAuth(name string, authorities bool) (tls.ClientAuthType, error) {
	switch auth, ok := clientAuths[name]; {
	case name == "" && authorities:
		return tls.RequireAndVerifyClientCert, nil
	case name == "":
		return tls.NoClientCert, nil
	case !ok:
		return 0, fmt.Errorf("clientAuth.clientAuthType: %q is not one of %s", name, list(clientAuths))
	case auth >= tls.VerifyClientCertIfGiven && !authorities:
		return 0, fmt.Errorf("clientAuth.clientAuthType: %s needs clientAuth.caFiles to verify certificates by", name)
	default:
		return auth, nil
	}
}

func list[T any](words map[string]T) string {
	return strings.Join(slices.Sorted(maps.Keys(words)), ", ")
}
