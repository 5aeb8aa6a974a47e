package upstream

import (
	"errors"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"

	"github.com/pergola-mesh/pergola/proxy/exchange"
)

// PoolKey says which server a pool of connections is for, and how to speak to it.
type PoolKey struct {
	// URL is the server's: scheme, host, optional port and path.
	URL string
	// PassHost sends the client's Host; else the server's own is sent.
	PassHost bool
	// PreservePath puts the path of URL before that of the request; else that of URL is ignored.
	PreservePath bool
	Transport    *Transport
}

// id is the same for keys that mean the same pool, and only for those.
func (k *PoolKey) id() string {
	return strings.Join([]string{
		strconv.FormatBool(k.PassHost), strconv.FormatBool(k.PreservePath), k.Transport.Hash(), k.URL,
	}, " ")
}

// Pools opens pools of connections. It is implemented by the clients of the protocols.
type Pools interface {
	// Pool returns a handler that sends an exchange to the one server of key, and what gives its
	// connections up. The handler fails with one of the server's kinds (exchange.DialFailed and so
	// on), sets Record.Sent as soon as the server may have seen a part of the request, and leaves
	// Response.Releaser alone. The request's body is not touched before there is a connection.
	//
	// Close is called once, when nothing is in flight. A request that still comes after it, from
	// whoever holds an old snapshot, must be served by a connection that is not kept.
	Pool(key PoolKey) (exchange.Handler, io.Closer)
}

// checkURL tells why a server's URL cannot be used.
func checkURL(text string) error {
	if text == "" {
		return errors.New("url is empty: it is scheme://host:port, such as http://10.0.0.1:8080")
	}
	u, err := url.Parse(text)
	if !strings.Contains(text, "://") {
		return fmt.Errorf("url %q has no scheme: it is scheme://host:port, such as http://%s", text, text)
	}
	if err != nil {
		return fmt.Errorf("url %w", errors.Unwrap(err)) // without the text, which may hold a password
	}
	switch {
	case u.Scheme != "http" && u.Scheme != "https" && u.Scheme != "h2c":
		return fmt.Errorf("url %q: the scheme must be http, https or h2c", text)
	case u.Hostname() == "":
		return fmt.Errorf("url %q has no host", text)
	case u.User != nil:
		return fmt.Errorf("url %q: credentials in the URL are not sent: use a headers middleware", u.Redacted())
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return fmt.Errorf("url %q: the port must be a number from 1 to 65535", text)
		}
	}
	return nil
}
