package upstream

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// grpcServer answers health checks over prior-knowledge HTTP/2 or TLS, as a gRPC server would.
func grpcServer(t *testing.T, overTLS bool, status, body string) string {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got, _ := io.ReadAll(r.Body)
		if r.ProtoMajor != 2 || r.Method != "POST" || r.URL.Path != "/grpc.health.v1.Health/Check" ||
			r.Header.Get("Content-Type") != "application/grpc" || r.Header.Get("Te") != "trailers" || string(got) != "\x00\x00\x00\x00\x00" {
			t.Errorf("asked %s %s %v with %q", r.Proto, r.URL, r.Header, got)
		}
		w.Header().Set("Content-Type", "application/grpc")
		w.Header().Set("Trailer", "Grpc-Status")
		io.WriteString(w, body)
		w.Header().Set("Grpc-Status", status)
	}))
	var protocols http.Protocols
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	s.Config.Protocols = &protocols
	if overTLS {
		s.EnableHTTP2 = true
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	return s.URL
}

func TestGRPCHealthCheck(t *testing.T) {
	b := newBench(t)
	for _, c := range []struct {
		name, status, body, want string
		tls                      bool
	}{
		{"serving", "0", "\x00\x00\x00\x00\x02\x08\x01", "", false},
		{"serving, over TLS", "0", "\x00\x00\x00\x00\x02\x08\x01", "", true},
		{"with a field of a later version", "0", "\x00\x00\x00\x00\x05\x12\x01x\x08\x01", "", false},
		{"not serving", "0", "\x00\x00\x00\x00\x02\x08\x02", "not serving (status 2)", false},
		{"unknown", "0", "\x00\x00\x00\x00\x00", "not serving (status 0)", false},
		{"without the service", "12", "", "does not have the gRPC health service", false},
		{"failing", "14", "", "grpc-status \"14\"", false},
		{"cut short", "0", "\x00\x00\x00\x00\x02\x08", "not one uncompressed message", false},
		{"not protobuf", "0", "\x00\x00\x00\x00\x01\xff", "gRPC health check", false},
		{"no status", "", "\x00\x00\x00\x00\x02\x08\x01", "no grpc-status", false},
	} {
		url := grpcServer(t, c.tls, c.status, c.body)
		if !c.tls {
			url = strings.Replace(url, "http:", "h2c:", 1)
		}
		k, err := b.newChecker(&HealthCheck{Mode: "grpc"}, &Transport{TLS: TLS{InsecureSkipVerify: true}})
		if err != nil {
			t.Fatal(err)
		}
		err = k.probe(context.Background(), &endpoint{url: url})
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
		k.stop()
	}
}

// A server of HTTP/1.1 that is asked for gRPC is down, and a plain check reaches one of h2c.
func TestHealthCheckProtocols(t *testing.T) {
	b := newBench(t)
	old := httptest.NewServer(http.NotFoundHandler())
	defer old.Close()
	k, err := b.newChecker(&HealthCheck{Mode: "grpc"}, &Transport{})
	if err != nil {
		t.Fatal(err)
	}
	defer k.stop()
	if err := k.probe(context.Background(), &endpoint{url: old.URL}); err == nil {
		t.Error("a server of HTTP/1.1 passes for one of gRPC")
	}
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {}))
	s.Config.Protocols = &protocols
	s.Start()
	defer s.Close()
	plain, err := b.newChecker(&HealthCheck{}, &Transport{})
	if err != nil {
		t.Fatal(err)
	}
	defer plain.stop()
	request, err := plain.request(context.Background(), strings.Replace(s.URL, "http:", "h2c:", 1))
	if err != nil || request.URL.Scheme != "h2c" {
		t.Fatal(request, err)
	}
	if err := plain.probe(context.Background(), &endpoint{url: strings.Replace(s.URL, "http:", "h2c:", 1)}); err != nil {
		t.Error(err)
	}
}
