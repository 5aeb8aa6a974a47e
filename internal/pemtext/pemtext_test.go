package pemtext

import (
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"strings"
	"testing"

	"github.com/pergola-mesh/pergola/internal/certtest"
)

func TestCheck(t *testing.T) {
	chain, key := certtest.PEM(certtest.NewAuthority("a").Issue([]string{"a.example"}))
	whole := string(chain)
	second := strings.LastIndex(whole, "-----BEGIN ")
	for name, c := range map[string]struct{ text, want string }{
		"chain":           {whole, ""},
		"key":             {string(key), ""},
		"text between":    {"subject=a\n" + whole[:second] + "issuer=b\n" + whole[second:] + "the end\n", ""},
		"CRLF":            {strings.ReplaceAll(whole, "\n", "\r\n"), ""},
		"no end of line":  {strings.TrimSpace(whole), ""},
		"second cut off":  {whole[:second+100], "PEM block 2 is cut off"},
		"second begun":    {whole[:second+len(begin)+3], "PEM block 2 is cut off"},
		"first cut off":   {whole[:100] + "\n" + whole[second:], "PEM block 1 is cut off"},
		"first damaged":   {strings.Replace(whole, "MII", "M!I", 1), "PEM block 1 is cut off or damaged"},
		"all cut off":     {whole[:100], "PEM block 1 is cut off"},
		"indented":        {"  -----BEGIN CERTIFICATE-----\n", "no PEM block begins"},
		"nothing of PEM ": {"nonsense", "no PEM block begins"},
	} {
		switch err := Check(c.text); {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
}

func TestKeyPairSaysWhatToMend(t *testing.T) {
	ca := certtest.NewAuthority("a")
	chain, key := certtest.PEM(ca.Issue([]string{"a.example"}))
	_, other := certtest.PEM(ca.Issue([]string{"b.example"}))
	if _, err := KeyPair(chain, key); err != nil {
		t.Fatal(err)
	}
	second := strings.LastIndex(string(chain), "-----BEGIN ")
	block, _ := pem.Decode(key)
	//lint:ignore SA1019 keys of this kind are what is told apart
	old, err := x509.EncryptPEMBlock(rand.Reader, "EC PRIVATE KEY", block.Bytes, []byte("x"), x509.PEMCipherAES128)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		chain, key []byte
		want       string
	}{
		"wrong order":   {[]byte(string(chain[second:]) + string(chain[:second])), key, "the key is that of certificate 2 of the chain"},
		"another's":     {chain, other, "private key does not match public key"},
		"passphrase":    {chain, pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: []byte{1}}), "encrypted with a passphrase"},
		"an older one":  {chain, pem.EncodeToMemory(old), "encrypted with a passphrase"},
		"the other way": {key, chain, "PEM inputs may have been switched"},
	} {
		if _, err := KeyPair(c.chain, c.key); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
}
