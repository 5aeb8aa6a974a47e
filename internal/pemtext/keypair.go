package pemtext

import (
	"bytes"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
)

// KeyPair reads a chain, the certificate itself first, and its key. Where they are no pair it says what people mostly
// have to mend.
func KeyPair(chain, key []byte) (tls.Certificate, error) {
	pair, err := tls.X509KeyPair(chain, key)
	switch {
	case err == nil:
		return pair, nil
	case encrypted(key):
		return pair, errors.New("the key is encrypted with a passphrase: keep it without one (openssl pkey -in … -out …), readable by its owner alone")
	}
	if n := owner(chain, key); n > 1 {
		return pair, fmt.Errorf("the key is that of certificate %d of the chain: it must come first, then its issuer's", n)
	}
	return pair, errors.New(strings.TrimPrefix(err.Error(), "tls: "))
}

// encrypted reports whether a key asks for a passphrase. RFC 5958 §3; RFC 1421 §4.6.1.1 for the older way.
func encrypted(key []byte) bool {
	for {
		block, rest := pem.Decode(key)
		if block == nil {
			return false
		}
		if block.Type == "ENCRYPTED PRIVATE KEY" || strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED") {
			return true
		}
		key = rest
	}
}

// owner is which certificate of a chain the key is of, from 1; 0 when it is of none.
func owner(chain, key []byte) int {
	for n := 1; ; n++ {
		block, rest := pem.Decode(bytes.TrimSpace(chain))
		if block == nil {
			return 0
		}
		if _, err := tls.X509KeyPair(pem.EncodeToMemory(block), key); err == nil {
			return n
		}
		chain = rest
	}
}
