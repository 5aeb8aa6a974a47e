package acme

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
)

// accountKeyBits is the size of account keys. They are RSA for one reason: that is what Traefik reads.
const accountKeyBits = 3072

// newAccountKey makes a key for an account, in DER.
func newAccountKey() ([]byte, error) {
	key, err := rsa.GenerateKey(rand.Reader, accountKeyBits)
	if err != nil {
		return nil, err
	}
	return x509.MarshalPKCS1PrivateKey(key), nil
}

// parseAccountKey reads a key in PKCS #1, SEC 1 or PKCS #8.
func parseAccountKey(der []byte) (crypto.Signer, error) {
	if key, err := x509.ParsePKCS1PrivateKey(der); err == nil {
		return key, nil
	}
	if key, err := x509.ParseECPrivateKey(der); err == nil {
		return key, nil
	}
	if key, err := x509.ParsePKCS8PrivateKey(der); err == nil {
		if signer, ok := key.(crypto.Signer); ok {
			return signer, nil
		}
	}
	return nil, errors.New("the storage holds no private key that can be read")
}
