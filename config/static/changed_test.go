package static

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// What differs between two configurations is told by key: sections that come and go too.
func TestChanged(t *testing.T) {
	settings := func(text string) Settings {
		t.Helper()
		name := filepath.Join(t.TempDir(), "pergola.yaml")
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		l := Load([]string{"--configFile=" + name}, nil)
		for _, p := range l.Problems {
			t.Fatal(p)
		}
		return l.Settings()
	}
	was := settings("entryPoints: {web: {address: ':80', forwardedHeaders: {trustedIPs: [10.0.0.1]}}}\nocsp: {}\n")
	for text, want := range map[string][]string{
		"ocsp: {}\nentryPoints: {web: {forwardedHeaders: {trustedIPs: '10.0.0.1'}, ADDRESS: ':80'}} # the same": nil,
		"entryPoints: {web: {address: ':80', forwardedHeaders: {trustedIPs: [10.0.0.2]}}}":                      {"entryPoints.web.forwardedHeaders.trustedIPs", "ocsp"},
		"entryPoints: {web: {address: ':80', forwardedHeaders: {trustedIPs: [10.0.0.1]}, http3: {}}}\nocsp: {}": {"entryPoints.web.http3"},
		"entryPoints: {we: {address: ':80', forwardedHeaders: {trustedIPs: [10.0.0.1]}}}\nocsp: {}":             {"entryPoints.we", "entryPoints.web"},
	} {
		if got := was.Changed(settings(text)); !slices.Equal(got, want) {
			t.Errorf("%s\nchanges %q, want %q", text, got, want)
		}
	}
}
