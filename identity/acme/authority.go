package acme

import (
	"context"
	"crypto/x509"
	"errors"
	"time"

	"github.com/pergola-mesh/pergola/identity/acme/storage"
)

// authority is a certificate authority as a resolver sees it.
type authority interface {
	// Register opens an account, or finds the one of account's key; account is nil for a new one. The
	// account that it returns is complete.
	Register(ctx context.Context, account *storage.Account) (*storage.Account, error)
	// Obtain proves the names and returns a certificate for them. It names the certificate that the new
	// one replaces, if there is one, to the authority.
	Obtain(ctx context.Context, account *storage.Account, names []string, replaces *x509.Certificate) (*storage.Certificate, error)
	// Window returns when the authority would like a certificate renewed. It fails with errNoWindow when
	// it does not say such things. RFC 9773.
	Window(ctx context.Context, account *storage.Account, leaf *x509.Certificate) (window, error)
}

// window is when an authority would like a certificate renewed, and when to ask again.
type window struct {
	start, end time.Time
	ask        time.Time
}

var (
	errNoWindow = errors.New("the authority has no renewal information")
	// errUnreachable wraps failures that have nothing to do with the names ordered.
	errUnreachable = errors.New("the certificate authority cannot be used")
	// errNoAccount says that the authority does not know the account.
	errNoAccount = errors.New("the authority does not know the account")
)
