package storage

import (
	"slices"
	"strings"
	"time"

	"github.com/pergola-mesh/pergola/config/dynamic"
)

// Data is what is kept for one resolver. Its JSON is that of Traefik's acme.json, so that either can
// read what the other wrote; Failures and CAServer are ours, and Traefik passes over them.
type Data struct {
	Account      *Account           `json:"Account"`
	Certificates []*Certificate     `json:"Certificates"`
	Failures     map[string]Failure `json:"Failures,omitempty"`
}

// Account is an account with a certificate authority.
type Account struct {
	Email        string        `json:"Email"`
	Registration *Registration `json:"Registration"`
	// PrivateKey is in DER: PKCS #1, SEC 1 or PKCS #8.
	PrivateKey []byte `json:"PrivateKey"`
	KeyType    string `json:"KeyType"`
}

// Registration is an account as the authority has it.
type Registration struct {
	Body RegistrationBody `json:"body"`
	// URI is the account's URL.
	URI string `json:"uri,omitempty"`
}

// RegistrationBody is what the authority told of an account.
type RegistrationBody struct {
	Status  string   `json:"status,omitempty"`
	Contact []string `json:"contact,omitempty"`
}

// Certificate is a chain and its key, in PEM.
type Certificate struct {
	Domain      dynamic.Domain `json:"domain"`
	Certificate []byte         `json:"certificate"`
	Key         []byte         `json:"key"`
	Store       string         `json:"Store"`
	// CAServer is the directory of the authority that issued it; empty when that is not known.
	CAServer string `json:"caServer,omitempty"`
}

// ID tells certificates of a resolver apart: their names.
func (c *Certificate) ID() string { return NamesID(append([]string{c.Domain.Main}, c.Domain.SANs...)) }

// NamesID is the same for the same names in any order.
func NamesID(names []string) string {
	names = slices.Clone(names)
	slices.Sort(names)
	return strings.Join(slices.Compact(names), ",")
}

// Failure is how ordering has failed lately, for a set of names or, under AuthorityID, for all.
type Failure struct {
	// Count is how often in a row.
	Count int `json:"count"`
	// Until is when it may be tried again.
	Until time.Time `json:"until"`
	// Error is why, the last time.
	Error string `json:"error"`
}

// AuthorityID is the ID of failures that are not of some names but of the authority or the account.
const AuthorityID = "*"

// Change is what a save does: everything in it, and nothing to the rest.
type Change struct {
	Account *Account
	// Put adds certificates, in the place of those with the same ID.
	Put []*Certificate
	// Drop removes certificates, by ID.
	Drop []string
	// Failed sets failures, by ID; a zero Failure removes one.
	Failed map[string]Failure
}

// Apply makes the change to d.
func (c *Change) Apply(d *Data) {
	if c.Account != nil {
		d.Account = c.Account
	}
	gone := slices.Clone(c.Drop)
	for _, put := range c.Put {
		gone = append(gone, put.ID())
	}
	d.Certificates = slices.DeleteFunc(d.Certificates, func(old *Certificate) bool {
		return old == nil || slices.Contains(gone, old.ID())
	})
	d.Certificates = append(d.Certificates, c.Put...)
	for id, f := range c.Failed {
		if f == (Failure{}) {
			delete(d.Failures, id)
			continue
		}
		if d.Failures == nil {
			d.Failures = map[string]Failure{}
		}
		d.Failures[id] = f
	}
}
