package passtlsclientcert

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"strconv"
	"strings"
)

// Info selects what of a certificate is passed on.
type Info struct {
	NotAfter     bool     `json:"notAfter,omitempty"`
	NotBefore    bool     `json:"notBefore,omitempty"`
	Sans         bool     `json:"sans,omitempty"`
	SerialNumber bool     `json:"serialNumber,omitempty"`
	Subject      *Subject `json:"subject,omitempty"`
	Issuer       *Issuer  `json:"issuer,omitempty"`
}

// Issuer selects parts of the issuer's name.
type Issuer struct {
	Country         bool `json:"country,omitempty"`
	Province        bool `json:"province,omitempty"`
	Locality        bool `json:"locality,omitempty"`
	Organization    bool `json:"organization,omitempty"`
	CommonName      bool `json:"commonName,omitempty"`
	SerialNumber    bool `json:"serialNumber,omitempty"`
	DomainComponent bool `json:"domainComponent,omitempty"`
}

// Subject selects parts of the subject's name.
type Subject struct {
	Country            bool `json:"country,omitempty"`
	Province           bool `json:"province,omitempty"`
	Locality           bool `json:"locality,omitempty"`
	Organization       bool `json:"organization,omitempty"`
	OrganizationalUnit bool `json:"organizationalUnit,omitempty"`
	CommonName         bool `json:"commonName,omitempty"`
	SerialNumber       bool `json:"serialNumber,omitempty"`
	DomainComponent    bool `json:"domainComponent,omitempty"`
}

// of is what is selected of a chain: fields as NAME="value" with a semicolon between them, certificates
// with a comma. What is empty is left out.
func (i *Info) of(chain []*x509.Certificate) string {
	parts := make([]string, len(chain))
	for n, c := range chain {
		parts[n] = i.one(c)
	}
	return strings.Join(parts, ",")
}

func (i *Info) one(c *x509.Certificate) string {
	var fields []string
	add := func(name, value string) {
		if value != "" {
			fields = append(fields, name+`="`+value+`"`)
		}
	}
	if s := i.Subject; s != nil {
		add("Subject", parts(&c.Subject, selection{s.DomainComponent, s.Country, s.Province, s.Locality, s.Organization,
			s.OrganizationalUnit, s.SerialNumber, s.CommonName}))
	}
	if s := i.Issuer; s != nil {
		add("Issuer", parts(&c.Issuer, selection{s.DomainComponent, s.Country, s.Province, s.Locality, s.Organization,
			false, s.SerialNumber, s.CommonName}))
	}
	if i.SerialNumber && c.SerialNumber != nil {
		add("SerialNumber", c.SerialNumber.String())
	}
	if i.NotBefore {
		add("NB", strconv.FormatInt(c.NotBefore.Unix(), 10))
	}
	if i.NotAfter {
		add("NA", strconv.FormatInt(c.NotAfter.Unix(), 10))
	}
	if i.Sans {
		add("SAN", strings.Join(sans(c), ","))
	}
	return strings.Join(fields, ";")
}

// selection is the parts of a name, in the order in which they are written.
type selection struct {
	domainComponent, country, province, locality, organization, unit, serialNumber, commonName bool
}

// parts are the selected parts of a name, as KEY=value with a comma between them.
func parts(n *pkix.Name, s selection) string {
	var all []string
	add := func(selected bool, key string, values ...string) {
		for _, v := range values {
			if selected && v != "" {
				all = append(all, key+"="+escape(v))
			}
		}
	}
	for _, attribute := range n.Names {
		if value, ok := attribute.Value.(string); ok && attribute.Type.String() == domainComponent {
			add(s.domainComponent, "DC", value)
		}
	}
	add(s.country, "C", n.Country...)
	add(s.province, "ST", n.Province...)
	add(s.locality, "L", n.Locality...)
	add(s.organization, "O", n.Organization...)
	add(s.unit, "OU", n.OrganizationalUnit...)
	add(s.serialNumber, "SN", n.SerialNumber)
	add(s.commonName, "CN", n.CommonName)
	return strings.Join(all, ",")
}

// domainComponent is the attribute's object identifier. RFC 4519 §2.4.
const domainComponent = "0.9.2342.19200300.100.1.25"

func sans(c *x509.Certificate) (all []string) {
	for _, list := range [][]string{c.DNSNames, c.EmailAddresses} {
		for _, name := range list {
			all = append(all, escape(name))
		}
	}
	for _, ip := range c.IPAddresses {
		all = append(all, ip.String())
	}
	for _, uri := range c.URIs {
		all = append(all, escape(uri.String()))
	}
	return all
}

// escaper keeps whoever names a certificate from writing fields of their own. RFC 4514 §2.4.
var escaper = strings.NewReplacer(`\`, `\\`, `"`, `\"`, `,`, `\,`, `;`, `\;`)

func escape(value string) string { return escaper.Replace(value) }
