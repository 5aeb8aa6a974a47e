package basicauth

import (
	"crypto/md5"
	"crypto/subtle"
	"errors"
	"strings"
)

// md5Secret is a hash of MD5-based crypt, as FreeBSD ("$1$") and Apache ("$apr1$") have it.
type md5Secret struct{ magic, salt, hash string }

func parseMD5(text string) (secret, error) {
	parts := strings.Split(text, "$") // "", "apr1", salt, hash
	if len(parts) != 4 || len(parts[2]) > 8 || len(parts[3]) != 22 {
		return nil, errors.New("the MD5 hash is malformed")
	}
	return md5Secret{"$" + parts[1] + "$", parts[2], parts[3]}, nil
}

func (s md5Secret) matches(password []byte) bool {
	hash := md5Crypt(password, s.salt, s.magic)
	return subtle.ConstantTimeCompare(hash, []byte(s.hash)) == 1
}

func (md5Secret) cost() int { return 1 }

// md5Crypt is Poul-Henning Kamp's algorithm: a thousand rounds of MD5 over the password, the salt and
// the last sum in changing order, then 22 letters.
func md5Crypt(password []byte, salt, magic string) []byte {
	inner := md5.Sum(append(append(append([]byte{}, password...), salt...), password...))
	text := append(append(append([]byte{}, password...), magic...), salt...)
	for left := len(password); left > 0; left -= md5.Size {
		text = append(text, inner[:min(left, md5.Size)]...)
	}
	for n := len(password); n > 0; n >>= 1 {
		if n&1 == 1 {
			text = append(text, 0)
		} else {
			text = append(text, password[0])
		}
	}
	sum := md5.Sum(text)
	for i := range 1000 {
		text = text[:0]
		if i%2 == 1 {
			text = append(text, password...)
		} else {
			text = append(text, sum[:]...)
		}
		if i%3 != 0 {
			text = append(text, salt...)
		}
		if i%7 != 0 {
			text = append(text, password...)
		}
		if i%2 == 1 {
			text = append(text, sum[:]...)
		} else {
			text = append(text, password...)
		}
		sum = md5.Sum(text)
	}
	out := make([]byte, 0, 22)
	for i := range 5 {
		last := i + 12
		if i == 4 {
			last = 5
		}
		out = appendLetters(out, uint(sum[i])<<16|uint(sum[i+6])<<8|uint(sum[last]), 4)
	}
	return appendLetters(out, uint(sum[11]), 2)
}

func appendLetters(dst []byte, v uint, n int) []byte {
	const letters = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	for range n {
		dst = append(dst, letters[v&63])
		v >>= 6
	}
	return dst
}
