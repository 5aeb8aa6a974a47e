package passtlsclientcert

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"net"
	"net/url"
	"testing"
	"time"

	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/exchange/exchangetest"
)

func clientCertificate() *x509.Certificate {
	uri, _ := url.Parse("spiffe://a.example/web,1")
	dc := asn1.ObjectIdentifier{0, 9, 2342, 19200300, 100, 1, 25}
	return &x509.Certificate{
		Raw: []byte("not parsed here"), SerialNumber: big.NewInt(481),
		NotBefore: time.Unix(1700000000, 0), NotAfter: time.Unix(1800000000, 0),
		Subject: pkix.Name{
			Country: []string{"FR", "DE"}, Province: []string{"Cataluña"}, Locality: []string{"Toulouse"},
			Organization: []string{"Cheese"}, OrganizationalUnit: []string{"Simple", "Blue"}, CommonName: `*.a", Subject="CN=admin\`,
			SerialNumber: "7", Names: []pkix.AttributeTypeAndValue{{Type: dc, Value: "org"}, {Type: dc, Value: "cheese"}},
		},
		Issuer:   pkix.Name{Country: []string{"US"}, OrganizationalUnit: []string{"hidden"}, CommonName: "CA", SerialNumber: "9"},
		DNSNames: []string{"a.example"}, EmailAddresses: []string{"m@a.example"}, IPAddresses: []net.IP{net.IPv4(10, 0, 0, 1)}, URIs: []*url.URL{uri},
	}
}

// pass sends a request over a connection on which the client showed chain, or over plaintext.
func pass(t *testing.T, config Config, chain []*x509.Certificate, url string) *exchangetest.Backend {
	t.Helper()
	m, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	x := exchangetest.Request("GET", url, "X-Forwarded-Tls-Client-Cert: mine", "X-Forwarded-Tls-Client-Cert-Info: mine",
		"x-forwarded-tls-client-cert: again")
	if x.Conn.TLS != nil {
		x.Conn.TLS.PeerCertificates = chain
	}
	backend := &exchangetest.Backend{}
	if r := exchangetest.Do(m(backend), x); r.Status != 200 {
		t.Fatalf("answered %d: %v", r.Status, r.Err)
	}
	return backend
}

func TestWhatIsPassedOn(t *testing.T) {
	all := Info{true, true, true, true, &Subject{true, true, true, true, true, true, true, true}, &Issuer{true, true, true, true, true, true, true}}
	one := clientCertificate()
	for name, c := range map[string]struct {
		config    Config
		chain     []*x509.Certificate
		url       string
		pem, info string
	}{
		"pem":                 {Config{PEM: true}, []*x509.Certificate{one, one}, "https://a.example/", "bm90IHBhcnNlZCBoZXJl,bm90IHBhcnNlZCBoZXJl", ""},
		"no certificate":      {Config{PEM: true, Info: &all}, nil, "https://a.example/", "", ""},
		"plaintext":           {Config{PEM: true, Info: &all}, nil, "http://a.example/", "", ""},
		"nothing is selected": {Config{Info: &Info{}}, []*x509.Certificate{one}, "https://a.example/", "", ""},
		"everything": {Config{Info: &all}, []*x509.Certificate{one}, "https://a.example/", "",
			`Subject="DC=org,DC=cheese,C=FR,C=DE,ST=Cataluña,L=Toulouse,O=Cheese,OU=Simple,OU=Blue,SN=7,CN=*.a\"\, Subject=\"CN=admin\\";` +
				`Issuer="C=US,SN=9,CN=CA";SerialNumber="481";NB="1700000000";NA="1800000000";` +
				`SAN="a.example,m@a.example,10.0.0.1,spiffe://a.example/web\,1"`},
		"a chain": {Config{Info: &Info{SerialNumber: true, Issuer: &Issuer{CommonName: true}}}, []*x509.Certificate{one, one}, "https://a.example/", "",
			`Issuer="CN=CA";SerialNumber="481",Issuer="CN=CA";SerialNumber="481"`},
	} {
		t.Run(name, func(t *testing.T) {
			backend := pass(t, c.config, c.chain, c.url)
			for field, want := range map[exchange.Name]string{
				exchange.XForwardedTLSClientCert: c.pem, exchange.XForwardedTLSClientCertInfo: url.QueryEscape(c.info),
			} {
				var got []string
				for v := range backend.Header.Values(field) {
					got = append(got, string(v))
				}
				if want == "" && len(got) > 0 || want != "" && (len(got) != 1 || got[0] != want) {
					t.Errorf("the server is told %q, want %q", got, want)
				}
			}
		})
	}
}

func TestPassingNothingIsAnError(t *testing.T) {
	if _, err := New(Config{}); err == nil {
		t.Error("accepted")
	}
}
