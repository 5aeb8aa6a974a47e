//go:build linux

package integration

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/pergola-mesh/pergola/integration/harness"
	"github.com/pergola-mesh/pergola/internal/nettest"
)

// backendUDP answers every datagram with itself.
func backendUDP(t *testing.T) string {
	t.Helper()
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pc.Close() })
	go func() {
		buf := make([]byte, 2048)
		for {
			n, from, err := pc.ReadFrom(buf)
			if err != nil {
				return
			}
			pc.WriteTo(buf[:n], from)
		}
	}()
	return pc.LocalAddr().String()
}

// startLayer4 runs docs/examples/layer4 at free addresses, before servers of the test.
func startLayer4(t *testing.T) (g *harness.Gateway, mysql, dns string) {
	t.Helper()
	authority := harness.NewAuthority(t)
	pair := authority.Issue("vault.example.com").Certificate
	echo := func(c net.Conn) { io.Copy(c, c) }
	mysql, dns = harness.FreeAddress(t), harness.FreeAddress(t)
	replacer := strings.NewReplacer(
		"127.0.0.1:8443", "$WEB", "127.0.0.1:3306\n", mysql+"\n", "127.0.0.1:5353/udp", dns+"/udp",
		"docs/examples/layer4/routes.yaml", "$DIR/routes.yaml", "entryPoints:\n  web:", "entryPoints:\n  traefik:\n    address: $ADMIN\n  web:",
		"127.0.0.1:8200", nettest.Serve(t, func(c net.Conn) {
			s := tls.Server(c, &tls.Config{Certificates: []tls.Certificate{pair}})
			io.WriteString(s, "vault\n")
			io.Copy(io.Discard, s)
			s.Close()
		}),
		"127.0.0.1:5432", nettest.Serve(t, echo),
		"127.0.0.1:33061", nettest.Serve(t, func(c net.Conn) { io.WriteString(c, "mysql a\n"); io.Copy(c, c) }),
		"127.0.0.1:33062", nettest.Serve(t, func(c net.Conn) { io.WriteString(c, "mysql b\n"); io.Copy(c, c) }),
		"127.0.0.1:53530", backendUDP(t),
	)
	archive := ""
	for _, name := range []string{"pergola.yaml", "routes.yaml"} {
		text, err := os.ReadFile("../docs/examples/layer4/" + name)
		if err != nil {
			t.Fatal(err)
		}
		changed := replacer.Replace(string(text))
		if name == "pergola.yaml" {
			changed += "metrics:\n  prometheus:\n    addRoutersLabels: true\naccessLog:\n  filePath: $DIR/access.log\n  format: json\n"
		}
		archive += "-- " + name + " --\n" + strings.ReplaceAll(changed, "`", "~")
	}
	return harness.Start(t, archive, nil), mysql, dns
}

// Everything of the example is reached: HTTP, HTTPS, TLS that passes through and TLS that ends here on one
// port, a protocol in which the server speaks first, and UDP; by clients that are not of Go too.
func TestLayer4Example(t *testing.T) {
	g, mysql, _ := startLayer4(t)
	g.AwaitStatus("/", http.StatusTeapot)
	client := &http.Client{Timeout: harness.Patience, Transport: &http.Transport{
		DialTLSContext: func(context.Context, string, string) (net.Conn, error) {
			return tls.Dial("tcp", g.Web, &tls.Config{ServerName: "www.example.com", InsecureSkipVerify: true})
		},
	}}
	response, err := client.Get("https://www.example.com/")
	if err != nil || response.StatusCode != http.StatusTeapot {
		t.Fatalf("HTTPS: %v, %v", response, err)
	}
	response.Body.Close()

	over := func(name, say string) string {
		c := exec.Command("openssl", "s_client", "-quiet", "-connect", g.Web, "-servername", name)
		in, err := c.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		out, err := c.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		defer func() {
			in.Close()
			c.Process.Kill()
			c.Wait()
		}()
		io.WriteString(in, say)
		got := make([]byte, 6)
		n, _ := io.ReadFull(out, got)
		return string(got[:n])
	}
	if got := over("vault.example.com", ""); got != "vault\n" {
		t.Errorf("TLS that passes through: %q", got)
	}
	if got := over("db.example.com", "query\n"); got != "query\n" {
		t.Errorf("TLS that ends here: %q", got)
	}

	shares := map[string]int{}
	var open net.Conn
	for range 20 {
		c, err := net.Dial("tcp", mysql)
		if err != nil {
			t.Fatal(err)
		}
		c.SetDeadline(time.Now().Add(harness.Patience))
		greeting := make([]byte, 8)
		if _, err := io.ReadFull(c, greeting); err != nil {
			t.Fatal(err)
		}
		shares[string(greeting)]++
		if open != nil {
			open.Close()
		}
		open = c
	}
	if shares["mysql a\n"] != 18 || shares["mysql b\n"] != 2 {
		t.Errorf("the servers' shares: %v", shares)
	}

	var connections []struct {
		Client, Router, Server string
		BytesSent              int64
	}
	harness.Eventually(t, "the open connection in the API", func() bool {
		response, err := http.Get("http://" + g.Admin + "/api/tcp/connections?search=mysql@file")
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		if err := json.NewDecoder(response.Body).Decode(&connections); err != nil {
			t.Fatal(err)
		}
		return len(connections) == 1
	})
	if c := connections[0]; c.Client != open.LocalAddr().String() || c.Router != "mysql@file" || c.BytesSent != 8 {
		t.Errorf("the API shows %+v", c)
	}
	// A reload leaves what is open alone.
	g.Write("routes.yaml", "http: {routers: {only: {rule: PathPrefix(~/~), service: noop@internal}}}\n")
	harness.Eventually(t, "the new configuration", func() bool {
		c, err := net.Dial("tcp", mysql)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(harness.Patience))
		fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		head := make([]byte, 8)
		n, _ := io.ReadFull(c, head)
		return string(head[:n]) == "HTTP/1.1"
	})
	io.WriteString(open, "still\n")
	said := make([]byte, 6)
	if _, err := io.ReadFull(open, said); err != nil || string(said) != "still\n" {
		t.Errorf("after the reload: %q, %v", said, err)
	}
	open.Close()
	harness.Eventually(t, "the line of the access log", func() bool {
		text, err := os.ReadFile(g.Dir + "/access.log")
		return err == nil && strings.Contains(string(text), `"Protocol":"tcp"`) && strings.Contains(string(text), `"ServerName":"vault.example.com","Passthrough":true`)
	})
}

func TestUDPExample(t *testing.T) {
	g, _, dns := startLayer4(t)
	c, err := net.Dial("udp", dns)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(harness.Patience))
	for i := range 5 {
		question := fmt.Sprint("question ", i)
		io.WriteString(c, question)
		buf := make([]byte, 100)
		if n, err := c.Read(buf); err != nil || string(buf[:n]) != question {
			t.Fatalf("%q is answered %q, %v", question, buf[:n], err)
		}
	}
	response, err := http.Get("http://" + g.Admin + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if want := `pergola_router_connections_open{protocol="udp",router="dns@file",service="dns@file"} 1`; err != nil || !strings.Contains(string(text), want) {
		t.Errorf("the metrics have no %s: %v", want, err)
	}
}
