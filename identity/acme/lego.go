package acme

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	legoacme "github.com/go-acme/lego/v5/acme"
	"github.com/go-acme/lego/v5/acme/api"
	"github.com/go-acme/lego/v5/certcrypto"
	legocertificate "github.com/go-acme/lego/v5/certificate"
	"github.com/go-acme/lego/v5/challenge/http01"
	"github.com/go-acme/lego/v5/challenge/tlsalpn01"
	"github.com/go-acme/lego/v5/lego"
	"github.com/go-acme/lego/v5/registration"

	"github.com/pergola-mesh/pergola/config/static"
	"github.com/pergola-mesh/pergola/identity/acme/storage"
)

// legoAuthority speaks ACME through lego. A resolver's goroutine alone uses it.
type legoAuthority struct {
	config  *static.ACME
	keyType certcrypto.KeyType
	http    *http.Client
	answers presenter
	dns     *dnsSolver // nil without dnsChallenge

	account *storage.Account // whose client this is
	client  *lego.Client
}

func newLego(config *static.ACME, s storage.Storage) (*legoAuthority, error) {
	l := &legoAuthority{config: config, answers: presenter{storage: s}}
	var err error
	if l.keyType, err = certcrypto.ToKeyType(config.KeyType); err != nil {
		return nil, err
	}
	if l.http, err = newHTTPClient(config); err != nil {
		return nil, err
	}
	if config.DNSChallenge != nil {
		if l.dns, err = newDNSSolver(config.DNSChallenge); err != nil {
			return nil, err
		}
	}
	return l, nil
}

// use makes a client for an account, which may not be registered yet.
func (l *legoAuthority) use(account *storage.Account) (*lego.Client, error) {
	if l.client != nil && l.account == account {
		return l.client, nil
	}
	key, err := parseAccountKey(account.PrivateKey)
	if err != nil {
		return nil, unreachable(fmt.Errorf("account key: %w", err))
	}
	c := &lego.Config{CADirURL: l.config.CAServer, User: &user{account, key}, UserAgent: "pergola", HTTPClient: l.http}
	c.Certificate.Timeout = time.Duration(l.config.CertificateTimeout)
	client, err := lego.NewClient(c)
	if err != nil {
		return nil, unreachable(err)
	}
	if h := l.config.HTTPChallenge; h != nil {
		err = errors.Join(err, client.Challenge.SetHTTP01Provider(l.answers.http(), http01.SetDelay(time.Duration(h.Delay))))
	}
	if t := l.config.TLSChallenge; t != nil {
		err = errors.Join(err, client.Challenge.SetTLSALPN01Provider(l.answers.tls(), tlsalpn01.SetDelay(time.Duration(t.Delay))))
	}
	if l.dns != nil {
		err = errors.Join(err, l.dns.set(client.Challenge))
	}
	if err != nil {
		return nil, unreachable(err)
	}
	l.client, l.account = client, account
	return client, nil
}

// Register is authority's.
func (l *legoAuthority) Register(ctx context.Context, account *storage.Account) (*storage.Account, error) {
	if account != nil && account.Registration != nil && account.Registration.URI != "" {
		if l.accountIsHere(account) {
			return account, nil
		}
		account = nil // of another authority, which the configuration named before
	}
	fresh := &storage.Account{Email: l.config.Email, KeyType: l.config.KeyType}
	if account != nil {
		fresh.PrivateKey = account.PrivateKey
	} else {
		var err error
		if fresh.PrivateKey, err = newAccountKey(); err != nil {
			return nil, unreachable(err)
		}
	}
	client, err := l.use(fresh)
	if err != nil {
		return nil, err
	}
	registered, err := l.register(ctx, client)
	if err != nil {
		return nil, unreachable(fmt.Errorf("account: %w", err))
	}
	fresh.Registration = &storage.Registration{
		Body: storage.RegistrationBody{Status: registered.Status, Contact: registered.Contact}, URI: registered.Location,
	}
	l.client = nil // it must learn the account's URL
	return fresh, nil
}

func (l *legoAuthority) register(ctx context.Context, client *lego.Client) (*legoacme.ExtendedAccount, error) {
	if e := l.config.EAB; e != nil {
		return client.Registration.RegisterWithExternalAccountBinding(ctx, registration.RegisterEABOptions{
			TermsOfServiceAgreed: true, Kid: e.Kid, HmacEncoded: strings.TrimRight(e.HmacEncoded, "="),
		})
	}
	if client.GetServerMetadata().ExternalAccountRequired {
		return nil, errors.New("the authority wants accounts bound to one of its own: set eab.kid and eab.hmacEncoded as it gave them")
	}
	return client.Registration.Register(ctx, registration.RegisterOptions{TermsOfServiceAgreed: true})
}

// accountIsHere says whether an account is one of the configured authority: its URL has the same host.
func (l *legoAuthority) accountIsHere(account *storage.Account) bool {
	here, err := url.Parse(l.config.CAServer)
	there, other := url.Parse(account.Registration.URI)
	return err == nil && other == nil && here.Host == there.Host
}

// Obtain is authority's.
func (l *legoAuthority) Obtain(ctx context.Context, account *storage.Account, names []string, replaces *x509.Certificate) (*storage.Certificate, error) {
	client, err := l.use(account)
	if err != nil {
		return nil, err
	}
	request := legocertificate.ObtainRequest{
		Domains: names, Bundle: true, KeyType: l.keyType, PreferredChain: l.config.PreferredChain, Profile: l.config.Profile,
		EmailAddresses: l.config.EmailAddresses, EnableCommonName: !l.config.DisableCommonName,
	}
	if replaces != nil {
		if request.ReplacesCertID, err = api.MakeARICertID(replaces); err != nil {
			return nil, err
		}
	}
	if l.dns != nil {
		defer l.dns.begin()()
	}
	got, err := client.Certificate.Obtain(ctx, request)
	if err != nil {
		return nil, l.failure(err)
	}
	return newStored(names, got.Certificate, got.PrivateKey, l.config.CAServer), nil
}

// failure tells failures of the authority or the account from those of the names.
func (l *legoAuthority) failure(err error) error {
	var problem *legoacme.ProblemDetails
	var network *url.Error
	switch {
	case errors.As(err, &problem):
		switch problem.Type {
		case legoacme.AccountDoesNotExistErrorType:
			l.client = nil
			return fmt.Errorf("%w: %w", errNoAccount, err)
		case legoacme.ServerInternalErrorType, legoacme.UserActionRequiredErrorType, legoacme.InvalidProfileErrorType,
			legoacme.ExternalAccountRequiredErrorType:
			return unreachable(err)
		}
	case errors.As(err, &network):
		l.client = nil
		return unreachable(err)
	}
	return err
}

// Window is authority's.
func (l *legoAuthority) Window(ctx context.Context, account *storage.Account, leaf *x509.Certificate) (window, error) {
	client, err := l.use(account)
	if err != nil {
		return window{}, err
	}
	info, err := client.Certificate.GetRenewalInfo(ctx, leaf)
	if errors.Is(err, api.ErrNoARI) {
		return window{}, errNoWindow
	} else if err != nil {
		return window{}, err
	}
	w := window{start: info.SuggestedWindow.Start, end: info.SuggestedWindow.End}
	if info.RetryAfter > 0 {
		w.ask = time.Now().Add(info.RetryAfter)
	}
	return w, nil
}

func unreachable(err error) error { return fmt.Errorf("%w: %w", errUnreachable, err) }

// user is lego's view of an account.
type user struct {
	account *storage.Account
	key     crypto.Signer
}

func (u *user) GetEmail() string             { return u.account.Email }
func (u *user) GetPrivateKey() crypto.Signer { return u.key }
func (u *user) GetRegistration() *legoacme.ExtendedAccount {
	r := u.account.Registration
	if r == nil {
		return nil
	}
	return &legoacme.ExtendedAccount{Account: legoacme.Account{Status: r.Body.Status, Contact: r.Body.Contact}, Location: r.URI}
}
