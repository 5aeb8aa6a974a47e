package identity

import (
	"crypto/tls"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pergola-mesh/pergola/config/dynamic"
	"github.com/pergola-mesh/pergola/internal/certtest"
)

// The process that takes another's place resumes its sessions, under the same policy alone.
func TestSessionsOutliveTheProcess(t *testing.T) {
	ca := certtest.NewAuthority("ca")
	client := ca.Issue([]string{"client"})
	edgeOf := func(s *Store) *Edge {
		return bound(policy(t, s, "open", dynamic.TLSOptions{}), map[string]*Policy{"m.example": policy(t, s, "mutual", mutual(""), ca.PEM())})
	}
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		connect := func(s *Store, name string, sessions *cache, certificates ...tls.Certificate) outcome {
			return shake(t, at(s, edgeOf(s)), &tls.Config{ServerName: name, InsecureSkipVerify: true, MaxVersion: version,
				ClientSessionCache: sessions, Certificates: certificates})
		}
		old, young := &Store{}, &Store{}
		open, mutual, cross := &cache{}, &cache{}, &cache{}
		connect(old, "a.example", open)
		connect(old, "a.example", cross)
		connect(old, "m.example", mutual, client)
		connect(young, "a.example", &cache{}) // it has secrets of its own by now
		if err := young.UseTickets(old.Tickets()); err != nil {
			t.Fatal(err)
		}
		if o := connect(young, "a.example", open); o.serverErr != nil || !o.server.DidResume {
			t.Errorf("%s: not resumed: %v", tls.VersionName(version), o.serverErr)
		}
		if o := connect(young, "m.example", mutual); o.serverErr != nil || !o.server.DidResume || len(o.server.PeerCertificates) == 0 {
			t.Errorf("%s: not resumed with the client's certificate: %v", tls.VersionName(version), o.serverErr)
		}
		if o := connect(young, "m.example", cross); o.serverErr == nil {
			t.Errorf("%s: a session of another process and policy took the place of a certificate", tls.VersionName(version))
		}
	}
}

// Secrets grow old in one process as they do in the other, and what is none changes nothing.
func TestUseTickets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old, young := &Store{}, &Store{}
		for range 10 {
			old.Tickets()
			time.Sleep(ticketRotation)
		}
		old.Tickets()
		time.Sleep(ticketRotation / 2)
		given := old.Tickets()
		if len(given) != 8+7*32 {
			t.Fatalf("%d bytes for seven days", len(given))
		}
		if err := young.UseTickets(given); err != nil {
			t.Fatal(err)
		}
		for _, wrong := range [][]byte{nil, given[:8], given[:8+31], given[:len(given)-1], append(given, given[:32]...)} {
			if err := young.UseTickets(wrong); err == nil {
				t.Errorf("%d bytes were taken", len(wrong))
			}
		}
		if string(young.Tickets()) != string(given) {
			t.Error("the secrets are not those that were given")
		}
		time.Sleep(ticketRotation / 2)
		a, b := old.tickets.current().secrets, young.tickets.current().secrets
		if a[0] == b[0] || a[1] != b[1] || len(b) != 7 {
			t.Error("the secrets were not renewed a day after they were made")
		}
		time.Sleep(ticketLife)
		if n := len(young.tickets.current().secrets); n != 1 {
			t.Errorf("%d secrets a week later", n)
		}
		future := []byte(string(given))
		future[0] = 0x10 // a clock that was set back since
		if err := young.UseTickets(future); err != nil {
			t.Fatal(err)
		}
		time.Sleep(ticketRotation)
		if n := young.tickets.current().secrets; string(n[0][:]) == string(given[8:40]) {
			t.Error("secrets of the future are not renewed")
		}
	})
}
