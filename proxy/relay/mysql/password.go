package mysql

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"encoding/pem"
	"errors"
)

// fullAuthentication is what a server of caching_sha2_password says that does not remember the password.
const fullAuthentication = 4

// keyRequests are what servers are asked for their key with, by plugin.
var keyRequests = map[string]byte{CachingSHA2Password: 2, SHA256Password: 1}

// encryptPassword encrypts a password, with the zero at its end, with a server's key in PEM.
func encryptPassword(password, scramble, key []byte) ([]byte, error) {
	block, _ := pem.Decode(key)
	if block == nil {
		return nil, errors.New("the server's key is no PEM")
	}
	parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	public, ok := parsed.(*rsa.PublicKey)
	if !ok || len(scramble) == 0 {
		return nil, errors.New("the server's key is not for RSA, or it has no scramble")
	}
	secret := make([]byte, len(password))
	for i, c := range password {
		secret[i] = c ^ scramble[i%len(scramble)]
	}
	return rsa.EncryptOAEP(sha1.New(), rand.Reader, public, secret, nil)
}
