package mysql

import (
	"bytes"
	"io"
	"testing"
)

// end is an end of a connection of which all that it will read is there.
type end struct {
	io.Reader
	io.Writer
}

// Whatever both sides say, each is told whole packets, numbered in turn, and no password that is not
// protected where the other one's is.
func FuzzHandover(f *testing.F) {
	login := (&Login{Capabilities: Offered, User: []byte("jane"), Proof: []byte("x"), Plugin: []byte("p")}).Append(nil)
	change := append([]byte("\xfe"+CachingSHA2Password+"\x00"), aScramble+"\x00"...)
	f.Add(login, Append(Append(nil, 4, []byte("proof")), 6, []byte("secret\x00")), Append(Append(nil, 2, change), 4, []byte{1, 4}), true, false)
	f.Add(login, Append(nil, 4, []byte("proof")), Append(Append(nil, 2, change), 4, []byte{0, 0, 0, 2, 0, 0, 0}), false, false)
	f.Add(login, Append(nil, 4, []byte("proof")), Append(nil, 2, []byte{0, 0, 0, 2, 0, 0, 0}), true, true)
	f.Add(login, []byte{}, Append(nil, 2, NewError(1045, "Access denied").Append(nil)), true, true)
	f.Fuzz(func(t *testing.T, login, fromClient, fromServer []byte, clientSecure, serverSecure bool) {
		l, err := ParseLogin(login)
		if err != nil {
			return
		}
		var toClient, toServer bytes.Buffer
		h := Handover{
			Client: &Conn{end{bytes.NewReader(fromClient), &toClient}, 3}, Server: &Conn{end{bytes.NewReader(fromServer), &toServer}, 1},
			ClientSecure: clientSecure, ServerSecure: serverSecure, Interrupt: func() {},
		}
		answer, err := h.Run(l, &Greeting{Capabilities: l.Capabilities, Scramble: []byte(aScramble), Plugin: CachingSHA2Password})
		if err == nil && (len(answer) == 0 || answer[0] != okPacket && answer[0] != errorPacket) {
			t.Fatalf("the server's answer is %q", answer)
		}
		if h.reading != [2]bool{} {
			t.Fatal("reads are left")
		}
		for name, b := range map[string]*bytes.Buffer{"client": &toClient, "server": &toServer} {
			last := -1
			for b.Len() > 0 {
				p, err := Read(b)
				if err != nil {
					t.Fatalf("the %s is told %v", name, err)
				}
				if next := int(p.Sequence); last >= 0 && next == last {
					t.Fatalf("the %s is told %d twice", name, next)
				}
				last = int(p.Sequence)
			}
		}
	})
}

// Whatever a server says to a login that is to find out whether it takes any, it is told whole packets, numbered
// in turn, and no password.
func FuzzReady(f *testing.F) {
	f.Add(Append(nil, 2, []byte{0, 0, 0, 2, 0, 0, 0}), true)
	f.Add(Append(nil, 2, NewError(1045, "Access denied").Append(nil)), false)
	f.Add(Append(Append(nil, 2, []byte("\xfe"+CachingSHA2Password+"\x00"+aScramble+"\x00")), 4, []byte{1, 4}), true)
	f.Fuzz(func(t *testing.T, said []byte, secure bool) {
		var told bytes.Buffer
		c := &Conn{end{bytes.NewReader(said), &told}, 1}
		Ready(c, Visitor("jane"), &Greeting{Capabilities: Offered, Scramble: []byte(aScramble), Plugin: CachingSHA2Password}, secure)
		p, err := Read(&told)
		if err != nil {
			t.Fatal(err)
		}
		if l, err := ParseLogin(p.Payload); err != nil || string(l.User) != "jane" || len(l.Proof) > 0 {
			t.Fatalf("the login is %+v, %v", l, err)
		}
		for number := byte(3); told.Len() > 0; number += 2 {
			p, err := Read(&told)
			if err != nil || (p.Sequence != number || len(p.Payload) > 0) && (p.Sequence != 0 || string(p.Payload) != string([]byte{quit}) || told.Len() > 0) {
				t.Fatalf("it is told %+v, %v", p, err)
			}
		}
	})
}
