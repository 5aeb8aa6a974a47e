package basicauth

import (
	"crypto/sha1"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/bcrypt"
)

type user struct {
	name   string
	secret secret
}

// secret is a password's hash.
type secret interface {
	// matches compares in constant time. It does not keep the password.
	matches(password []byte) bool
	// cost orders secrets by how long a comparison takes.
	cost() int
}

// parseUsers reads lines of htpasswd files; the last of a name counts.
func parseUsers(lines []string) (map[string]*user, error) {
	users := map[string]*user{}
	for _, line := range lines {
		name, hash, ok := strings.Cut(line, ":")
		if !ok || name == "" {
			return nil, errors.New("a user is not of the form name:hash, as htpasswd writes it")
		}
		secret, err := parseSecret(hash)
		if err != nil {
			return nil, fmt.Errorf("user %s: %w", name, err)
		}
		users[name] = &user{name, secret}
	}
	return users, nil
}

func parseSecret(hash string) (secret, error) {
	switch {
	case strings.HasPrefix(hash, "$2"):
		rounds, err := bcrypt.Cost([]byte(hash))
		if err != nil {
			return nil, fmt.Errorf("the bcrypt hash is malformed: %w", err)
		}
		return bcryptSecret{[]byte(hash), rounds}, nil
	case strings.HasPrefix(hash, "{SHA}"):
		sum, err := base64.StdEncoding.DecodeString(hash[len("{SHA}"):])
		if err != nil || len(sum) != sha1.Size {
			return nil, errors.New("the {SHA} hash is malformed")
		}
		return shaSecret(sum), nil
	case strings.HasPrefix(hash, "$apr1$"), strings.HasPrefix(hash, "$1$"):
		return parseMD5(hash)
	}
	return nil, errors.New("the hash is none of bcrypt, apr1-MD5 or {SHA}: make it with htpasswd -nB")
}

// costliest is the secret that takes longest to compare.
func costliest(users map[string]*user) secret {
	var most secret = noOne
	for _, u := range users {
		if most == noOne || u.secret.cost() > most.cost() {
			most = u.secret
		}
	}
	return most
}

// noOne is a hash whose password nobody knows.
var noOne secret = shaSecret(make([]byte, sha1.Size))

type bcryptSecret struct {
	hash   []byte
	rounds int
}

func (s bcryptSecret) matches(password []byte) bool {
	return bcrypt.CompareHashAndPassword(s.hash, password) == nil
}

func (s bcryptSecret) cost() int { return 2 + s.rounds }

type shaSecret string

func (s shaSecret) matches(password []byte) bool {
	sum := sha1.Sum(password)
	return subtle.ConstantTimeCompare(sum[:], []byte(s)) == 1
}

func (shaSecret) cost() int { return 0 }
