// Package login is what the middlewares that ask for a name and a password have in common: the lists of
// users, the answer to strangers, and what the server is told of who passed.
package login

import (
	"errors"
	"fmt"
	"strings"

	"github.com/pergola-mesh/pergola/proxy/exchange"
)

// Lines are the entries of a users file, then those that are given one by one, so that of two with a name
// the latter counts. Empty lines and those that begin with "#" are skipped. It is an error if there is
// neither: a list that was forgotten must not let everybody in, or nobody without a word.
func Lines(users []string, usersFile string, readFile func(path string) ([]byte, error)) ([]string, error) {
	all := users
	if usersFile != "" {
		text, err := readFile(usersFile)
		if err != nil {
			return nil, fmt.Errorf("usersFile: %w", err)
		}
		all = append(strings.Split(string(text), "\n"), users...)
	} else if len(users) == 0 {
		return nil, errors.New("there are no users: set users or usersFile")
	}
	var lines []string
	for _, line := range all {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			lines = append(lines, line)
		}
	}
	return lines, nil
}

// Realm is what a client is told it authenticates for, when the configuration says nothing.
func Realm(configured string) string {
	if configured == "" {
		return "traefik"
	}
	return configured
}

// Pass is what becomes of a request on its way.
type Pass struct {
	header  exchange.Name // tells the server the user's name
	tells   bool
	removes bool // the credentials
}

// NewPass tells the server the user's name in headerField, if that is not empty, and removes the credentials
// if removeHeader is set.
func NewPass(headerField string, removeHeader bool) Pass {
	p := Pass{tells: headerField != "", removes: removeHeader}
	if p.tells {
		p.header = exchange.NewName(headerField)
	}
	return p
}

// Clean removes the field that will tell who the user is: it never comes from the client.
func (p *Pass) Clean(x *exchange.Exchange) {
	if p.tells {
		x.Request.Header.Del(p.header)
	}
}

// Admit notes who the user is.
func (p *Pass) Admit(x *exchange.Exchange, name string) {
	x.Record.User = name
	if p.removes {
		x.Request.Header.Del(exchange.Authorization)
	}
	if p.tells {
		x.Request.Header.Set(p.header, name)
	}
}

var wwwAuthenticate = exchange.NewName("WWW-Authenticate")

// Challenge answers a request without good credentials. RFC 9110 §11.6.1.
func Challenge(x *exchange.Exchange, challenge string) error {
	x.Refuse(401)
	x.Response.Header.Add(wwwAuthenticate, challenge)
	return nil
}
