package acme

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pergola-mesh/pergola/config/static"
	"github.com/pergola-mesh/pergola/identity"
	"github.com/pergola-mesh/pergola/identity/acme/storage"
)

func newService(t *testing.T, log *bytes.Buffer, change func(*static.ACME)) (*Service, error) {
	t.Helper()
	c := &static.ACME{}
	c.SetDefaults()
	c.Storage = filepath.Join(t.TempDir(), "acme.json")
	change(c)
	return New(Options{Resolvers: map[string]*static.CertificateResolver{"ca": {ACME: c}, "other": nil},
		Publish: func(string, []*identity.Certificate) {}, Logger: slog.New(slog.NewTextHandler(log, nil))})
}

// TestWhatCannotBe is an error that names the key and the remedy.
func TestWhatCannotBe(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*static.ACME)
		want   []string
	}{
		"no such provider": {func(c *static.ACME) { c.DNSChallenge = &static.DNSChallenge{Provider: "gcloud"} },
			[]string{"certificatesResolvers.ca.acme.dnsChallenge.provider", `"gcloud"`, "cloudflare", "exec and httpreq lead to any other"}},
		"no credentials": {func(c *static.ACME) { c.DNSChallenge = &static.DNSChallenge{Provider: "httpreq"} },
			[]string{"certificatesResolvers.ca.acme.dnsChallenge.provider", "HTTPREQ_ENDPOINT"}},
		"no authorities": {func(c *static.ACME) { c.CACertificates = []string{"/nowhere.pem"} },
			[]string{"certificatesResolvers.ca.acme.caCertificates[0]", "/nowhere.pem"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := newService(t, &bytes.Buffer{}, test.change)
			for _, want := range test.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("%v: want %q in it", err, want)
				}
			}
		})
	}
}

// TestWhatIsWantedInVain is told once for as long as it is wanted.
func TestWhatIsWantedInVain(t *testing.T) {
	var log bytes.Buffer
	s, err := newService(t, &log, func(c *static.ACME) { c.HTTPChallenge = &static.HTTPChallenge{EntryPoint: "web"} })
	if err != nil {
		t.Fatal(err)
	}
	wants := []identity.Wanted{
		{Resolver: "ca", Domains: []string{"*.example.com"}, Router: "wild@file"},
		{Resolver: "none", Domains: []string{"a.example"}, Router: "lost@file"},
	}
	s.Want(wants, nil)
	s.Want(wants, nil)
	for _, want := range []string{"router wild@file: *.example.com: a wildcard can be proven by dnsChallenge alone", `router lost@file: there is no certificate resolver`} {
		if n := strings.Count(log.String(), want); n != 1 {
			t.Errorf("%q is in the log %d times:\n%s", want, n, &log)
		}
	}
	s.Want(nil, nil)
	s.Want(wants, nil)
	if n := strings.Count(log.String(), "wild@file"); n != 2 {
		t.Errorf("mended and broken again, it is told %d times", n)
	}
}

// TestAnswers are given for the name and token that were asked for, and for nothing else.
func TestAnswers(t *testing.T) {
	s, err := newService(t, &bytes.Buffer{}, func(*static.ACME) {})
	if err != nil {
		t.Fatal(err)
	}
	p := presenter{s.answers.storages[0]}
	const token = "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA"
	if err := errors.Join(p.http().Present(t.Context(), "A.example", token, "proof"), p.tls().Present(t.Context(), "A.example", token, "proof")); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		host, token string
		want        bool
	}{
		{"a.example", token, true},
		{"A.EXAMPLE.", token, true},
		{"b.example", token, false},
		{"a.example", token[1:], false},
		{"a.example", "../" + token, false},
		{"a.example", strings.Repeat("a", 300), false},
		{"", token, false},
	} {
		if proof, ok := s.Answer(t.Context(), test.host, test.token); ok != test.want || ok && proof != "proof" {
			t.Errorf("%s, %.50s: %q, %v", test.host, test.token, proof, ok)
		}
	}
	hello := func(name string) *tls.Certificate { return s.answers.tls(t.Context(), name) }
	made := hello("a.example")
	if made == nil || hello("A.example") != made || hello("b.example") != nil {
		t.Error("the certificate is not there, made anew, or given for another name")
	}
	if err := errors.Join(p.http().CleanUp(t.Context(), "A.example", token, "proof"), p.tls().CleanUp(t.Context(), "A.example", token, "proof")); err != nil {
		t.Fatal(err)
	}
	if _, ok := s.Answer(t.Context(), "a.example", token); ok || hello("a.example") != nil {
		t.Error("answers are given after the challenge")
	}
}

// TestAnswersAreBounded: requests that anybody can send keep no more than so many look-ups waiting.
func TestAnswersAreBounded(t *testing.T) {
	asked := make(chan struct{}, 2*askers)
	release := make(chan struct{})
	a := answers{storages: []storage.Storage{&slowStorage{asked: asked, release: release}}, asking: make(chan struct{}, askers)}
	done := make(chan bool)
	for i := range askers {
		go func() {
			_, ok := a.find(t.Context(), storage.HTTP01, fmt.Sprint(i))
			done <- ok
		}()
	}
	for range askers {
		<-asked
	}
	if _, ok := a.find(t.Context(), storage.HTTP01, "one more"); ok || len(asked) > 0 {
		t.Error("one more was asked for")
	}
	close(release)
	for range askers {
		if !<-done {
			t.Error("one that was waited for was not found")
		}
	}
}

type slowStorage struct {
	fakeStorage
	asked   chan<- struct{}
	release <-chan struct{}
}

func (s *slowStorage) Find(_ context.Context, kind, key string) (storage.Challenge, bool, error) {
	s.asked <- struct{}{}
	<-s.release
	return storage.Challenge{Kind: kind, Key: key}, true, nil
}

// TestAccountKeys of all encodings are read.
func TestAccountKeys(t *testing.T) {
	der, err := newAccountKey()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parseAccountKey(der); err != nil {
		t.Error(err)
	}
	if _, err := parseAccountKey([]byte("none")); err == nil {
		t.Error("nonsense is a key")
	}
}
