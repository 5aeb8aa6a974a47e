package spiffe

import (
	"bytes"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/pergola-mesh/pergola/identity/spiffe/spiffetest"
)

// Whatever the agent says is an identity with its authorities, or an error.
func FuzzParse(f *testing.F) {
	domain := spiffetest.NewDomain(f, "example.org")
	id := domain.Issue(f, "/gateway")
	chain, key, err := id.MarshalRaw()
	if err != nil {
		f.Fatal(err)
	}
	answer := one("spiffe://example.org/gateway", chain, key, domain.Authority.Certificate.Raw)
	answer.FederatedBundles = map[string][]byte{"spiffe://partner.org": domain.Authority.Certificate.Raw}
	answer.Crl = [][]byte{{1}}
	message, err := proto.Marshal(answer)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(message)
	f.Add(message[:len(message)-7])
	f.Add([]byte("\x08\x01\x0a\x00"))
	f.Fuzz(func(t *testing.T, message []byte) {
		m, err := parse(bytes.Clone(message))
		if err != nil {
			return
		}
		if m.svid == nil || m.svid.PrivateKey == nil || !m.bundles.Has(m.svid.ID.TrustDomain()) {
			t.Errorf("%+v", m)
		}
	})
}
