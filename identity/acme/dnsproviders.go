package acme

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/go-acme/lego/v5/challenge"
	"github.com/go-acme/lego/v5/providers/dns/acmedns"
	"github.com/go-acme/lego/v5/providers/dns/cloudflare"
	"github.com/go-acme/lego/v5/providers/dns/cloudns"
	"github.com/go-acme/lego/v5/providers/dns/digitalocean"
	"github.com/go-acme/lego/v5/providers/dns/dnsmadeeasy"
	"github.com/go-acme/lego/v5/providers/dns/dnsupdate"
	"github.com/go-acme/lego/v5/providers/dns/domeneshop"
	"github.com/go-acme/lego/v5/providers/dns/dreamhost"
	"github.com/go-acme/lego/v5/providers/dns/duckdns"
	"github.com/go-acme/lego/v5/providers/dns/dynu"
	"github.com/go-acme/lego/v5/providers/dns/easydns"
	"github.com/go-acme/lego/v5/providers/dns/exec"
	"github.com/go-acme/lego/v5/providers/dns/gandiv5"
	"github.com/go-acme/lego/v5/providers/dns/gcore"
	"github.com/go-acme/lego/v5/providers/dns/glesys"
	"github.com/go-acme/lego/v5/providers/dns/godaddy"
	"github.com/go-acme/lego/v5/providers/dns/hetzner"
	"github.com/go-acme/lego/v5/providers/dns/hostingde"
	"github.com/go-acme/lego/v5/providers/dns/hostinger"
	"github.com/go-acme/lego/v5/providers/dns/httpreq"
	"github.com/go-acme/lego/v5/providers/dns/infomaniak"
	"github.com/go-acme/lego/v5/providers/dns/ionos"
	"github.com/go-acme/lego/v5/providers/dns/loopia"
	"github.com/go-acme/lego/v5/providers/dns/luadns"
	"github.com/go-acme/lego/v5/providers/dns/mythicbeasts"
	"github.com/go-acme/lego/v5/providers/dns/namecheap"
	"github.com/go-acme/lego/v5/providers/dns/netcup"
	"github.com/go-acme/lego/v5/providers/dns/netlify"
	"github.com/go-acme/lego/v5/providers/dns/njalla"
	"github.com/go-acme/lego/v5/providers/dns/ovh"
	"github.com/go-acme/lego/v5/providers/dns/pdns"
	"github.com/go-acme/lego/v5/providers/dns/route53"
	"github.com/go-acme/lego/v5/providers/dns/simply"
	"github.com/go-acme/lego/v5/providers/dns/spaceship"
	"github.com/go-acme/lego/v5/providers/dns/vercel"
)

// dnsProviders are the DNS services that names can be proven with, under lego's names. Each reads its
// credentials from the environment. docs/decisions/dns-providers.md says why these and no others.
var dnsProviders = map[string]func() (challenge.Provider, error){
	"acme-dns":     newProvider(acmedns.NewDNSProvider),
	"acmedns":      newProvider(acmedns.NewDNSProvider),
	"cloudflare":   newProvider(cloudflare.NewDNSProvider),
	"cloudns":      newProvider(cloudns.NewDNSProvider),
	"digitalocean": newProvider(digitalocean.NewDNSProvider),
	"dnsmadeeasy":  newProvider(dnsmadeeasy.NewDNSProvider),
	"dnsupdate":    newProvider(dnsupdate.NewDNSProvider),
	"domeneshop":   newProvider(domeneshop.NewDNSProvider),
	"dreamhost":    newProvider(dreamhost.NewDNSProvider),
	"duckdns":      newProvider(duckdns.NewDNSProvider),
	"dynu":         newProvider(dynu.NewDNSProvider),
	"easydns":      newProvider(easydns.NewDNSProvider),
	"exec":         newProvider(exec.NewDNSProvider),
	"gandiv5":      newProvider(gandiv5.NewDNSProvider),
	"gcore":        newProvider(gcore.NewDNSProvider),
	"glesys":       newProvider(glesys.NewDNSProvider),
	"godaddy":      newProvider(godaddy.NewDNSProvider),
	"hetzner":      newProvider(hetzner.NewDNSProvider),
	"hostinger":    newProvider(hostinger.NewDNSProvider),
	"hostingde":    newProvider(hostingde.NewDNSProvider),
	"httpreq":      newProvider(httpreq.NewDNSProvider),
	"infomaniak":   newProvider(infomaniak.NewDNSProvider),
	"ionos":        newProvider(ionos.NewDNSProvider),
	"loopia":       newProvider(loopia.NewDNSProvider),
	"luadns":       newProvider(luadns.NewDNSProvider),
	"mythicbeasts": newProvider(mythicbeasts.NewDNSProvider),
	"namecheap":    newProvider(namecheap.NewDNSProvider),
	"netcup":       newProvider(netcup.NewDNSProvider),
	"netlify":      newProvider(netlify.NewDNSProvider),
	"njalla":       newProvider(njalla.NewDNSProvider),
	"ovh":          newProvider(ovh.NewDNSProvider),
	"pdns":         newProvider(pdns.NewDNSProvider),
	"rfc2136":      newProvider(dnsupdate.NewDNSProvider),
	"route53":      newProvider(route53.NewDNSProvider),
	"simply":       newProvider(simply.NewDNSProvider),
	"spaceship":    newProvider(spaceship.NewDNSProvider),
	"vercel":       newProvider(vercel.NewDNSProvider),
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
