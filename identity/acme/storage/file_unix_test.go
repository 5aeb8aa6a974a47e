//go:build unix

package storage

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pergola-mesh/pergola/config/dynamic"
)

// fromTraefik is a file as Traefik writes it.
const fromTraefik = `{
  "le": {
    "Account": {
      "Email": "ops@example.com",
      "Registration": {
        "body": {"status": "valid", "contact": ["mailto:ops@example.com"]},
        "uri": "https://acme-v02.api.letsencrypt.org/acme/acct/1"
      },
      "PrivateKey": "MIIB",
      "KeyType": "4096"
    },
    "Certificates": [
      {
        "domain": {"main": "a.example.com", "sans": ["b.example.com"]},
        "certificate": "Q0hBSU4=",
        "key": "S0VZ",
        "Store": "default"
      }
    ]
  },
  "untouched": {"Account": null, "Certificates": null}
}`

func write(t *testing.T, text string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "acme.json")
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestTraefikFileIsRead(t *testing.T) {
	f, err := OpenFile(write(t, fromTraefik, 0o600))
	if err != nil {
		t.Fatal(err)
	}
	data, _, err := f.Load(t.Context(), "le", "")
	if err != nil {
		t.Fatal(err)
	}
	if a := data.Account; a.Email != "ops@example.com" || a.Registration.URI != "https://acme-v02.api.letsencrypt.org/acme/acct/1" ||
		a.Registration.Body.Status != "valid" || len(a.PrivateKey) != 3 {
		t.Errorf("account %+v", a)
	}
	c := data.Certificates[0]
	if c.ID() != "a.example.com,b.example.com" || string(c.Certificate) != "CHAIN" || string(c.Key) != "KEY" || c.Store != "default" {
		t.Errorf("certificate %+v", c)
	}
}

// TestSaveKeepsWhatItDoesNotChange and the format, so that Traefik can go on from it.
func TestSaveKeepsWhatItDoesNotChange(t *testing.T) {
	path := write(t, fromTraefik, 0o600)
	f, err := OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	_, before, err := f.Load(t.Context(), "le", "")
	if err != nil {
		t.Fatal(err)
	}
	lease, err := f.Acquire(t.Context(), "le")
	if err != nil {
		t.Fatal(err)
	}
	if err := lease.Save(t.Context(), Change{Put: []*Certificate{{Domain: dynamic.Domain{Main: "c.example.com"}, Certificate: []byte("x"), Key: []byte("y"), Store: "default"}}}); err != nil {
		t.Fatal(err)
	}
	lease.Release()
	var want, got map[string]map[string]any
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(json.Unmarshal([]byte(fromTraefik), &want), json.Unmarshal(text, &got)); err != nil {
		t.Fatal(err)
	}
	if !equalJSON(got["le"]["Account"], want["le"]["Account"]) || !equalJSON(got["untouched"], want["untouched"]) {
		t.Errorf("saved: %s", text)
	}
	certificates := got["le"]["Certificates"].([]any)
	if len(certificates) != 2 || !equalJSON(certificates[0], want["le"]["Certificates"].([]any)[0]) {
		t.Errorf("saved: %s", text)
	}
	if data, after, err := f.Load(t.Context(), "le", before); err != nil || after == before || len(data.Certificates) != 2 {
		t.Errorf("after the save: %v, revision %q, then %q", err, before, after)
	} else if data, _, err := f.Load(t.Context(), "le", after); err != nil || data != nil {
		t.Errorf("nothing has changed: %v, %v", data, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

func equalJSON(a, b any) bool {
	x, _ := json.Marshal(a)
	y, _ := json.Marshal(b)
	return bytes.Equal(x, y)
}

func TestFileThatCannotBeUsed(t *testing.T) {
	for name, test := range map[string]struct {
		text, want string
		mode       os.FileMode
	}{
		"others may read it": {"{}", "chmod 600", 0o640},
		"not JSON":           {"{", "is not a certificate storage", 0o600},
	} {
		t.Run(name, func(t *testing.T) {
			path := write(t, test.text, test.mode)
			_, err := OpenFile(path)
			if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), path) {
				t.Errorf("%v", err)
			}
		})
	}
	if _, err := OpenFile(t.TempDir()); err == nil || !strings.Contains(err.Error(), "is a directory") {
		t.Errorf("a directory: %v", err)
	}
	if _, err := OpenFile(filepath.Join(t.TempDir(), "none", "acme.json")); err == nil || !strings.Contains(err.Error(), "neither read nor made") {
		t.Errorf("no folder: %v", err)
	}
	if _, err := OpenFile(write(t, "", 0o600)); err != nil {
		t.Errorf("an empty file, as touch makes it: %v", err)
	}
}

// A folder that goes away takes nothing from memory: the storage has failed, and is not empty.
func TestFileWhoseFolderGoes(t *testing.T) {
	path := write(t, "{}", 0o600)
	f, err := OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Dir(path)); err != nil {
		t.Fatal(err)
	}
	if data, _, err := f.Load(t.Context(), "le", ""); err == nil {
		t.Errorf("it has %v", data)
	}
}

// TestFileLeasesExclude each other, in one process and between what is as good as two.
func TestFileLeasesExclude(t *testing.T) {
	path := filepath.Join(t.TempDir(), "acme.json")
	one, err := OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	two, err := OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	exclusive(t, one, one)
	exclusive(t, one, two)
}

// exclusive shows that of two who share a storage one has a resolver's lease at a time.
func exclusive(t *testing.T, one, two Storage) {
	t.Helper()
	lease, err := one.Acquire(t.Context(), "le")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := two.Acquire(t.Context(), "le"); !errors.Is(err, ErrHeld) {
		t.Errorf("a second lease: %v", err)
	}
	other, err := two.Acquire(t.Context(), "another")
	if err != nil {
		t.Errorf("the lease of another resolver: %v", err)
	} else {
		other.Release()
	}
	if lease.Context().Err() != nil {
		t.Error("the lease has ended by itself")
	}
	lease.Release()
	if lease.Context().Err() == nil {
		t.Error("the context of a released lease goes on")
	}
	if err := lease.Save(t.Context(), Change{}); !errors.Is(err, ErrLost) {
		t.Errorf("a save after the release: %v", err)
	}
	again, err := two.Acquire(t.Context(), "le")
	if err != nil {
		t.Fatalf("after the release: %v", err)
	}
	again.Release()
}

func TestSymbolicLinkStays(t *testing.T) {
	path := write(t, "{}", 0o600)
	link := filepath.Join(t.TempDir(), "link.json")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	f, err := OpenFile(link)
	if err != nil {
		t.Fatal(err)
	}
	lease, err := f.Acquire(t.Context(), "le")
	if err != nil {
		t.Fatal(err)
	}
	defer lease.Release()
	if err := lease.Save(t.Context(), Change{Failed: map[string]Failure{"a": {Count: 1}}}); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link was replaced: %v, %v", info, err)
	}
	if text, err := os.ReadFile(path); err != nil || !strings.Contains(string(text), `"count": 1`) {
		t.Errorf("%s, %v", text, err)
	}
}
