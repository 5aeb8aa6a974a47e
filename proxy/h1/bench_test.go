package h1

import (
	"strings"
	"testing"

	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/fields"
)

// heads are requests as small clients and as browsers send them.
var heads = []struct{ name, text string }{
	{"plain", "GET /api/items?page=2 HTTP/1.1\r\nHost: bench.example\r\nUser-Agent: wrk\r\nAccept: */*\r\n\r\n"},
	{"browser", "GET /static/app.js HTTP/1.1\r\nHost: www.example.com\r\nConnection: keep-alive\r\n" +
		"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36\r\n" +
		"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n" +
		"Accept-Encoding: gzip, deflate, br, zstd\r\nAccept-Language: en-GB,en;q=0.9,de;q=0.8\r\n" +
		"Referer: https://www.example.com/start?from=mail\r\nCookie: session=" + strings.Repeat("0123456789abcdef", 16) + "; theme=dark\r\n" +
		"If-None-Match: \"5f2b-61c1e2\"\r\nCache-Control: max-age=0\r\nUpgrade-Insecure-Requests: 1\r\n\r\n"},
	{"post", "POST /api/items HTTP/1.1\r\nHost: bench.example\r\nContent-Type: application/json\r\nContent-Length: 120\r\n" +
		"Authorization: Bearer " + strings.Repeat("abcdefgh", 40) + "\r\nAccept: application/json\r\n\r\n"},
}

func BenchmarkParseRequest(b *testing.B) {
	for _, h := range heads {
		b.Run(h.name, func(b *testing.B) {
			var x exchange.Exchange
			var fr framing
			buf := []byte(h.text)
			b.ReportAllocs()
			b.SetBytes(int64(len(buf)))
			for b.Loop() {
				if end, err := parseRequest(&x, &fr, buf, &fields.DefaultLimits); err != nil || end != len(buf) {
					b.Fatal(end, err)
				}
			}
		})
	}
}

func BenchmarkParseResponse(b *testing.B) {
	var p exchange.Response
	var fr framing
	buf := []byte("HTTP/1.1 200 OK\r\nServer: nginx\r\nDate: Tue, 24 Nov 2026 10:00:00 GMT\r\nContent-Type: application/json\r\n" +
		"Content-Length: 128\r\nConnection: keep-alive\r\nEtag: \"5f2b-61c1e2\"\r\nVary: Accept-Encoding\r\n\r\n")
	b.ReportAllocs()
	b.SetBytes(int64(len(buf)))
	for b.Loop() {
		if end, err := parseResponse(&p, &fr, buf); err != nil || end != len(buf) {
			b.Fatal(end, err)
		}
	}
}

func BenchmarkDecodeChunks(b *testing.B) {
	buf := append(appendChunkHead(nil, 4096), make([]byte, 4096)...)
	buf = append(buf, "\r\n0\r\n"...)
	b.ReportAllocs()
	b.SetBytes(int64(len(buf)))
	for b.Loop() {
		var c chunks
		for at := 0; ; {
			_, used, trailer, err := c.next(buf[at:])
			if at += used; err != nil || used == 0 && !trailer {
				b.Fatal(at, err)
			}
			if trailer {
				break
			}
		}
	}
}
