package acme

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/go-acme/lego/v5/challenge"
	"github.com/go-acme/lego/v5/providers/dns/exec"
	"github.com/go-acme/lego/v5/providers/dns/httpreq"
)

// dnsProviders are the DNS services that names can be proven with, under lego's names. Each reads its
// credentials from the environment. docs/decisions/dns-providers.md says why these and no others.
var dnsProviders = map[string]func() (challenge.Provider, error){
	"exec":    newProvider(exec.NewDNSProvider),
	"httpreq": newProvider(httpreq.NewDNSProvider),
}

func newProvider[P challenge.Provider](f func() (P, error)) func() (challenge.Provider, error) {
	return func() (challenge.Provider, error) { return f() }
}

// newDNSProvider makes a provider by name.
func newDNSProvider(name string) (challenge.Provider, error) {
	f := dnsProviders[strings.ToLower(name)]
	if f == nil {
		return nil, fmt.Errorf("this build does not have %q; it has %s; exec and httpreq lead to any other service through a program or server of yours",
			name, strings.Join(slices.Sorted(maps.Keys(dnsProviders)), ", "))
	}
	return f()
}
