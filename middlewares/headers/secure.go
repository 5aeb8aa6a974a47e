package headers

import (
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/pergola-mesh/pergola/proxy/exchange"
)

var (
	strictTransportSecurity = exchange.NewName("Strict-Transport-Security")
	publicKeyPins           = exchange.NewName("Public-Key-Pins")
)

// secure checks the host and sets the fields that make browsers careful.
type secure struct {
	allowedHosts []string
	proxyHosts   []exchange.Name // fields that may hold the host
	proxyTLS     []edit          // fields whose value says that the client came by TLS
	always       []edit
	overTLS      []edit // only when the client came by TLS
}

func newSecure(c *Config) (*secure, error) {
	s := &secure{}
	if !c.IsDevelopment {
		s.allowedHosts = c.AllowedHosts
	}
	for _, name := range c.HostsProxyHeaders {
		if err := checkField(name, ""); err != nil {
			return nil, fmt.Errorf("hostsProxyHeaders: %w", err)
		}
		s.proxyHosts = append(s.proxyHosts, exchange.NewName(name))
	}
	for _, name := range slices.Sorted(maps.Keys(c.SSLProxyHeaders)) {
		if err := checkField(name, ""); err != nil {
			return nil, fmt.Errorf("sslProxyHeaders: %w", err)
		}
		s.proxyTLS = append(s.proxyTLS, edit{name: exchange.NewName(name), value: c.SSLProxyHeaders[name]})
	}

	if c.STSSeconds < 0 { // browsers would take no notice of the field. RFC 6797 §6.1.1
		return nil, fmt.Errorf("stsSeconds is %d; it must not be negative", c.STSSeconds)
	}
	if c.STSSeconds > 0 && !c.IsDevelopment {
		value := "max-age=" + strconv.FormatInt(c.STSSeconds, 10)
		if c.STSIncludeSubdomains {
			value += "; includeSubDomains"
		}
		if c.STSPreload {
			value += "; preload"
		}
		e := edit{name: strictTransportSecurity, value: value}
		if c.ForceSTSHeader {
			s.always = append(s.always, e)
		} else {
			s.overTLS = append(s.overTLS, e)
		}
	}
	if c.PublicKey != "" && !c.IsDevelopment {
		s.overTLS = append(s.overTLS, edit{name: publicKeyPins, value: c.PublicKey})
	}
	for _, f := range []struct{ name, custom, standard string }{
		{"X-Frame-Options", c.CustomFrameOptionsValue, when(c.FrameDeny, "DENY")},
		{"X-Content-Type-Options", "", when(c.ContentTypeNosniff, "nosniff")},
		{"X-Xss-Protection", c.CustomBrowserXSSValue, when(c.BrowserXSSFilter, "1; mode=block")},
		{"Content-Security-Policy", c.ContentSecurityPolicy, ""},
		{"Content-Security-Policy-Report-Only", c.ContentSecurityPolicyReportOnly, ""},
		{"Referrer-Policy", c.ReferrerPolicy, ""},
		{"Permissions-Policy", c.PermissionsPolicy, ""},
	} {
		value := f.custom
		if value == "" {
			value = f.standard
		}
		if value != "" {
			s.always = append(s.always, edit{name: exchange.NewName(f.name), value: value})
		}
	}
	for _, e := range slices.Concat(s.always, s.overTLS) {
		if err := checkField(e.name.String(), e.value); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func when(on bool, value string) string {
	if on {
		return value
	}
	return ""
}

// check refuses a request for a host that is not allowed.
func (s *secure) check(r *exchange.Request) error {
	if len(s.allowedHosts) == 0 {
		return nil
	}
	host := r.Host
	for _, name := range s.proxyHosts {
		if v := r.Header.Get(name); len(v) > 0 {
			host = v
			break
		}
	}
	for _, allowed := range s.allowedHosts {
		if exchange.EqualFold(host, allowed) {
			return nil
		}
	}
	return exchange.Forbidden.Withf("headers: host %q is not in allowedHosts", host)
}

// isTLS reports whether the client came by TLS, by what the gateway knows or a field says.
func (s *secure) isTLS(r *exchange.Request) bool {
	if r.Scheme == "https" {
		return true
	}
	for i := range s.proxyTLS {
		if string(r.Header.Get(s.proxyTLS[i].name)) == s.proxyTLS[i].value {
			return true
		}
	}
	return false
}

// decorate sets the fields on a response.
func (s *secure) decorate(x *exchange.Exchange, isTLS bool) {
	apply(&x.Response.Header, s.always)
	if isTLS {
		apply(&x.Response.Header, s.overTLS)
	}
}
