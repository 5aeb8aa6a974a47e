package snapshot

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pergola-mesh/pergola/config/dynamic"
	"github.com/pergola-mesh/pergola/internal/certtest"
	"github.com/pergola-mesh/pergola/internal/files"
)

// pair puts a certificate into the fixture's files.
func (f *fixture) pair(t *testing.T, name string, c tls.Certificate) {
	t.Helper()
	chain, key := certtest.PEM(c)
	f.files[name+".crt"], f.files[name+".key"] = string(chain), string(key)
}

// refresh has files read again.
func (f *fixture) refresh() {
	var s *Snapshot
	s, f.report = f.builder.Refresh()
	f.live.Swap(s)
}

// problems are what is wrong, but for what is said of objects that are kept.
func (f *fixture) problems() []dynamic.Problem {
	return slices.DeleteFunc(slices.Clone(f.report.Problems), func(p dynamic.Problem) bool { return p.Message == keptMessage })
}

// shown is the serial number of the certificate that a client is shown.
func (f *fixture) shown(t *testing.T, name string) string {
	t.Helper()
	c := f.connect(t, "web", &tls.Config{ServerName: name, InsecureSkipVerify: true})
	if c.clientErr != nil {
		return "refused"
	}
	return c.client.PeerCertificates[0].SerialNumber.String()
}

const oneCertificate = `
http:
  routers:
    a: {rule: Host("a.example"), service: noop@internal, tls: {}}
    b: {rule: Host("b.example"), service: noop@internal, tls: {}}
tls:
  certificates:
    - {certFile: a.crt, keyFile: a.key}
    - {certFile: b.crt, keyFile: b.key}
  stores:
    default: {defaultCertificate: {certFile: d.crt, keyFile: d.key}}
`

// Certificates follow their files. What cannot be read or does not fit together leaves the last good one,
// and says so, until it is mended.
func TestCertificatesFollowTheirFiles(t *testing.T) {
	ca := certtest.NewAuthority("ca")
	f := newFixture(t)
	first, second := ca.Issue([]string{"a.example"}), ca.Issue([]string{"a.example"})
	f.pair(t, "a", first)
	f.pair(t, "d", ca.Issue([]string{"d.example"}))
	fallback := serialOf(t, f.files["d.crt"])
	s := f.load(t, oneCertificate)
	if got := f.report.Problems; len(got) != 1 || !strings.Contains(got[0].String(), "tls.certificates[b.crt]: certFile: open b.crt") {
		t.Fatalf("problems: %v", got)
	}
	check := func(what, a, b string, problems ...string) {
		t.Helper()
		if got := f.shown(t, "a.example"); got != a {
			t.Errorf("%s: a.example is shown %s, want %s", what, got, a)
		}
		if got := f.shown(t, "b.example"); got != b {
			t.Errorf("%s: b.example is shown %s, want %s", what, got, b)
		}
		said := f.problems()
		for i, p := range said {
			if i >= len(problems) || !strings.Contains(p.String(), problems[i]) {
				t.Errorf("%s: problem %s", what, p)
			}
		}
		if len(said) < len(problems) {
			t.Errorf("%s: problems %v, want %v", what, said, problems)
		}
	}
	one, two := first.Leaf.SerialNumber.String(), second.Leaf.SerialNumber.String()
	check("at first", one, fallback, "tls.certificates[b.crt]")

	f.refresh()
	if f.live.Snapshot() != s || f.report.Changed {
		t.Error("there is a new snapshot though no file has changed")
	}
	b := ca.IssueRSA([]string{"b.example"})
	f.pair(t, "b", b)
	f.refresh()
	check("the missing one is there", one, b.Leaf.SerialNumber.String())
	if f.report.Built.total() != 0 {
		t.Errorf("it built %+v for a certificate", f.report.Built)
	}

	chain, key := certtest.PEM(second)
	f.files["a.crt"] = string(chain)
	f.refresh()
	check("only the certificate is new", one, b.Leaf.SerialNumber.String(), "tls.certificates[a.crt]: a.crt with the key a.key: private key does not match public key")
	if f.report.Kept != 1 {
		t.Errorf("%d objects are kept, want 1", f.report.Kept)
	}
	f.files["a.key"] = string(key)
	f.refresh()
	check("the key is, too", two, b.Leaf.SerialNumber.String())

	whole, cut, _ := strings.Cut(string(chain), "-----END CERTIFICATE-----\n")
	f.files["a.crt"] = whole + "-----END CERTIFICATE-----\n" + cut[:100]
	f.refresh()
	check("the issuer is cut off", two, b.Leaf.SerialNumber.String(), "tls.certificates[a.crt]: certFile: a.crt: PEM block 2 is cut off")
	if f.report.Kept != 1 {
		t.Errorf("%d objects are kept, want 1", f.report.Kept)
	}
	f.files["a.crt"] = "\ufeff" + string(chain)
	f.refresh()
	check("an editor saved it", two, b.Leaf.SerialNumber.String())

	delete(f.files, "a.key")
	f.files["d.crt"] = "nonsense"
	f.refresh()
	check("files are gone", two, b.Leaf.SerialNumber.String(), "tls.certificates[a.crt]: keyFile: open a.key", "tls.stores.default: defaultCertificate: certFile: d.crt is not a PEM file")
	f.load(t, strings.NewReplacer("b.crt", "c.crt", "b.key", "c.key").Replace(oneCertificate)) // the others keep what they have
	f.pair(t, "c", ca.Issue([]string{"c.example"}))
	f.refresh()
	check("after an update", two, fallback, "tls.certificates[a.crt]", "tls.stores.default")
	if got, want := f.builder.Files(), []string{"a.crt", "a.key", "c.crt", "c.key", "d.crt", "d.key"}; !slices.Equal(got, want) {
		t.Errorf("files %v, want %v", got, want)
	}
	f.load(t, "http: {}")
	if got := f.builder.Files(); len(got) > 0 {
		t.Errorf("files %v of nothing", got)
	}
}

func serialOf(t *testing.T, chain string) string {
	t.Helper()
	block, _ := pem.Decode([]byte(chain))
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return c.SerialNumber.String()
}

// An authority's file that goes bad leaves clients verified by the last good one: nobody gets in without.
func TestAuthoritiesFollowTheirFiles(t *testing.T) {
	one, two := certtest.NewAuthority("one"), certtest.NewAuthority("two")
	f := newFixture(t)
	f.files["ca.pem"] = string(one.PEM())
	f.load(t, `
http:
  routers:
    a: {rule: Host("a.example"), service: noop@internal, tls: {options: mutual}}
tls:
  options:
    mutual: {clientAuth: {caFiles: [ca.pem]}}
`)
	clients := map[string]tls.Certificate{"one": one.Issue([]string{"client"}), "two": two.Issue([]string{"client"}), "nobody": {}}
	check := func(what string, allowed string) {
		t.Helper()
		for name, certificate := range clients {
			config := &tls.Config{ServerName: "a.example", InsecureSkipVerify: true}
			if certificate.PrivateKey != nil {
				config.Certificates = []tls.Certificate{certificate}
			}
			if c := f.connect(t, "web", config); (c.serverErr == nil) != (name == allowed) {
				t.Errorf("%s: the client of %s: %v", what, name, c.serverErr)
			}
		}
	}
	check("at first", "one")
	f.files["ca.pem"] = string(two.PEM())
	f.refresh()
	check("another authority", "two")
	for _, text := range []string{"", "-----BEGIN nonsense"} {
		f.files["ca.pem"] = text
		f.refresh()
		check("nonsense", "two")
	}
	delete(f.files, "ca.pem")
	f.refresh()
	check("no file", "two")
	if said := f.problems(); len(said) != 1 || !strings.Contains(said[0].String(), "tls.options.mutual: clientAuth.caFiles[0]") || f.report.Kept != 1 {
		t.Errorf("problems: %v", said)
	}
}

// A running configuration notices by itself that files changed, and connections live through it.
func TestRunnerWatchesFiles(t *testing.T) {
	ca := certtest.NewAuthority("ca")
	dir := t.TempDir()
	put := func(c tls.Certificate) string {
		t.Helper()
		chain, key := certtest.PEM(c)
		for name, text := range map[string][]byte{"a.crt": chain, "a.key": key} {
			path := filepath.Join(dir, name)
			if err := os.WriteFile(path+".new", text, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(path+".new", path); err != nil {
				t.Fatal(err)
			}
		}
		return c.Leaf.SerialNumber.String()
	}
	first := put(ca.Issue([]string{"a.example"}))
	f := newFixture(t, func(o *Options) { o.ReadFile = files.Read })
	ctx, stop := context.WithCancel(t.Context())
	updates, applied, done := make(chan dynamic.Update), make(chan *Snapshot, 100), make(chan struct{})
	r := &Runner{Builder: f.builder, Live: f.live, Logger: slog.New(slog.DiscardHandler), Applied: func(s *Snapshot) { applied <- s }}
	go func() {
		defer close(done)
		r.Run(ctx, updates)
	}()
	updates <- decodeUpdate(t, "file", "file.yaml", fmt.Sprintf(`
http:
  routers: {a: {rule: Host("a.example"), service: noop@internal, tls: {}}}
tls:
  certificates: [{certFile: %[1]s/a.crt, keyFile: %[1]s/a.key}]
`, dir))
	until := func(want string) {
		t.Helper()
		for deadline := time.After(10 * time.Second); ; {
			if f.shown(t, "a.example") == want {
				return
			}
			select {
			case <-applied:
			case <-deadline:
				t.Fatalf("a.example is never shown %s", want)
			}
		}
	}
	until(first)
	until(put(ca.Issue([]string{"a.example"})))
	until(put(ca.Issue([]string{"a.example"})))
	stop()
	<-done
}
