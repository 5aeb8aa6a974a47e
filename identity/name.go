package identity

import (
	"crypto/x509"
	"errors"
	"net/netip"
	"slices"
	"strings"
)

// Normalize brings a host name into the form in which names are compared: lower case, without a dot at
// its end. ok is false for what is no host name or address; an empty name is one.
func Normalize(name string) (normal string, ok bool) {
	name = strings.TrimSuffix(name, ".")
	upper := false
	for i := range len(name) {
		c := name[i]
		upper = upper || 'A' <= c && c <= 'Z'
		if !isHostByte(c) {
			return "", false
		}
	}
	if upper {
		name = strings.ToLower(name)
	}
	return name, len(name) <= 253
}

// isHostByte reports whether a host name or an address may hold c.
func isHostByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '.' || c == '_' || c == ':'
}

var errNUL = errors.New("a name in it holds a character that no name can have, which some readers take for its end")

// certificateName brings a name out of a certificate into the form in which it is looked for; empty when
// nobody can ask for it. A wildcard is a whole first label, and stands for one label.
func certificateName(name string) (string, error) {
	for i := range len(name) {
		if name[i] <= ' ' || name[i] == 0x7f {
			return "", errNUL
		}
	}
	rest, wild := strings.CutPrefix(name, "*.")
	normal, ok := Normalize(rest)
	switch {
	case !ok || normal == "":
		return "", nil
	case wild:
		return "*." + normal, nil
	}
	return normal, nil
}

// plainNames refuses a client's certificate with a name that not all who are told of it read alike.
func plainNames(c *x509.Certificate) error {
	for _, name := range c.DNSNames {
		if _, err := certificateName(name); err != nil {
			return err
		}
	}
	if strings.Contains(strings.Join(append(slices.Clip(c.EmailAddresses), c.Subject.CommonName), ""), "\x00") {
		return errNUL
	}
	return nil
}

// Wildcard is the one that covers name in a certificate; empty when none can. A wildcard is its own.
// RFC 9525 §6.3.
func Wildcard(name string) string {
	i := strings.IndexByte(name, '.')
	if i <= 0 || i == len(name)-1 {
		return ""
	}
	if _, err := netip.ParseAddr(name); err == nil {
		return ""
	}
	return "*" + name[i:]
}
