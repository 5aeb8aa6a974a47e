package spiffe

import (
	"errors"
	"fmt"

	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
	"google.golang.org/protobuf/encoding/protowire"
)

// parse reads an X509SVIDResponse. The first identity of several is the gateway's; the authorities are those
// of the trust domains of all, and of those federated with. SPIFFE Workload API §5.
func parse(message []byte) (*material, error) {
	m := &material{bundles: x509bundle.NewSet()}
	err := eachField(message, func(number protowire.Number, value []byte) error {
		switch number {
		case 1:
			return m.addSVID(value)
		case 3:
			return m.addFederated(value)
		}
		return nil
	})
	if err == nil && m.svid == nil {
		err = errors.New("it has no identity")
	}
	if err != nil {
		return nil, err
	}
	return m, nil
}

// addSVID reads an X509SVID.
func (m *material) addSVID(message []byte) error {
	var id string
	var chain, key, bundle []byte
	err := eachField(message, func(number protowire.Number, value []byte) error {
		switch number {
		case 1:
			id = string(value)
		case 2:
			chain = value
		case 3:
			key = value
		case 4:
			bundle = value
		}
		return nil
	})
	defer clear(key) // the certificates go on using the rest of the message
	if err != nil {
		return err
	}
	parsed, err := spiffeid.FromString(id)
	if err != nil {
		return fmt.Errorf("identity %.200q: %w", id, err)
	}
	if m.svid == nil {
		svid, err := x509svid.ParseRaw(chain, key)
		if err != nil {
			return fmt.Errorf("identity %s: %w", parsed, err)
		}
		if svid.ID != parsed {
			return fmt.Errorf("identity %s: its certificate is that of %s", parsed, svid.ID)
		}
		m.svid = svid
	}
	return m.addBundle(parsed.TrustDomain(), bundle)
}

// addFederated reads an entry of the map of federated bundles.
func (m *material) addFederated(entry []byte) error {
	var domain string
	var bundle []byte
	err := eachField(entry, func(number protowire.Number, value []byte) error {
		switch number {
		case 1:
			domain = string(value)
		case 2:
			bundle = value
		}
		return nil
	})
	if err != nil {
		return err
	}
	parsed, err := spiffeid.TrustDomainFromString(domain)
	if err != nil {
		return fmt.Errorf("trust domain %.200q: %w", domain, err)
	}
	return m.addBundle(parsed, bundle)
}

func (m *material) addBundle(domain spiffeid.TrustDomain, der []byte) error {
	bundle, err := x509bundle.ParseRaw(domain, der)
	if err != nil {
		return fmt.Errorf("the authorities of trust domain %s: %w", domain, err)
	}
	m.bundles.Add(bundle)
	return nil
}

// eachField calls f with the fields of a message that are strings, bytes or messages.
func eachField(message []byte, f func(protowire.Number, []byte) error) error {
	for len(message) > 0 {
		number, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return protowire.ParseError(n)
		}
		message = message[n:]
		if kind != protowire.BytesType {
			if n = protowire.ConsumeFieldValue(number, kind, message); n < 0 {
				return protowire.ParseError(n)
			}
			message = message[n:]
			continue
		}
		value, n := protowire.ConsumeBytes(message)
		if n < 0 {
			return protowire.ParseError(n)
		}
		if err := f(number, value); err != nil {
			return err
		}
		message = message[n:]
	}
	return nil
}
