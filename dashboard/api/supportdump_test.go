package api

import (
	"archive/tar"
	"compress/gzip"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/pergola-mesh/pergola/config/dynamic"
	"github.com/pergola-mesh/pergola/config/load"
	"github.com/pergola-mesh/pergola/config/static"
	"github.com/pergola-mesh/pergola/proxy/snapshot"
)

// The archive has the files of Traefik's, and no secret is in it.
func TestSupportDump(t *testing.T) {
	view := running()
	view.Services["private@file"] = &snapshot.ServiceView{Service: &dynamic.Service{LoadBalancer: &dynamic.LoadBalancer{
		Servers: []dynamic.Server{{URL: "http://user:s3cret@10.0.0.9"}}}}}
	o := options(view)
	o.Static = &static.Configuration{
		EntryPoints: map[string]*static.EntryPoint{"web": {Address: ":80"}},
		CertificatesResolvers: map[string]*static.CertificateResolver{"le": {ACME: &static.ACME{
			Email: "s3cret@example.com", Storage: "redis://user:s3cret@10.0.0.8", EAB: &static.EAB{Kid: "s3cret", HmacEncoded: "s3cret"}}}},
	}
	h := New(o)
	w := get(h, "/api/support-dump")
	if w.Code != 200 || w.Header().Get("Content-Type") != "application/gzip" || w.Header().Get("Content-Disposition") != "attachment; filename=support-dump.tar.gz" {
		t.Fatalf("%d, %v", w.Code, w.Header())
	}
	for name, want := range map[string]string{
		"version.json":        `{"version":"1.2.3","codename":"rose","startDate":"2026-03-01T12:00:00Z"}`,
		"static-config.json":  `"address":":80"`,
		"runtime-config.json": strings.TrimSpace(get(h, "/api/rawdata").Body.String()),
	} {
		switch text := unpack(t, w.Body.String())[name]; {
		case !strings.Contains(text, want):
			t.Errorf("%s is %s, want %s", name, text, want)
		case strings.Contains(text, "s3cret"):
			t.Errorf("%s tells a secret: %s", name, text)
		case !json.Valid([]byte(text)):
			t.Errorf("%s is no JSON: %s", name, text)
		}
	}
	if w := get(h, "/api/support-dump", func(r *http.Request) { r.Host = "rebound.example" }); w.Code != 403 {
		t.Errorf("under another name: %d", w.Code)
	}
}

// Each key whose value the configuration calls secret is one by its name.
func TestSecretKeys(t *testing.T) {
	for _, k := range load.Keys(&static.Configuration{}) {
		if k.Secret && !secretKey(k.Path[strings.LastIndexByte(k.Path, '.')+1:]) {
			t.Errorf("%s would be shown", k.Path)
		}
	}
}

// unpack returns the files of an archive.
func unpack(t *testing.T, body string) map[string]string {
	t.Helper()
	compressed, err := gzip.NewReader(strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for r := tar.NewReader(compressed); ; {
		header, err := r.Next()
		if err == io.EOF {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		files[header.Name] = string(text)
	}
}
