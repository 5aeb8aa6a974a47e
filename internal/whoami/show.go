package whoami

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
)

// maxShownBody is how much of a request body is shown, in bytes; the rest is read and left out.
const maxShownBody = 64 << 10

// A View is one request as the backend saw it. Its JSON form is that of Traefik's whoami, with the
// protocol, the body and the trailers added.
type View struct {
	Name       string      `json:"name,omitempty"`
	Hostname   string      `json:"hostname,omitempty"`
	IP         []string    `json:"ip,omitempty"`
	RemoteAddr string      `json:"remoteAddr,omitempty"`
	Method     string      `json:"method,omitempty"`
	URL        string      `json:"url,omitempty"` // the request target as it was sent
	Proto      string      `json:"proto,omitempty"`
	Host       string      `json:"host,omitempty"`
	Headers    http.Header `json:"headers,omitempty"`
	Body       string      `json:"body,omitempty"`
	Trailers   http.Header `json:"trailers,omitempty"`
}

func (b *Backend) show(w http.ResponseWriter, r *http.Request) {
	view, err := b.view(r)
	if err != nil {
		http.Error(w, "reading the request body: "+err.Error(), http.StatusBadRequest)
		return
	}
	if wantsJSON(r) {
		writeJSON(w, view)
		return
	}
	text := view.text()
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Content-Length", fmt.Sprint(len(text)))
	w.Write(text)
}

func wantsJSON(r *http.Request) bool {
	return strings.HasPrefix(r.URL.Path, "/api") ||
		r.URL.Query().Get("format") == "json" ||
		strings.Contains(r.Header.Get("Accept"), "application/json")
}

// view reads the request to its end.
func (b *Backend) view(r *http.Request) (*View, error) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxShownBody))
	if err == nil {
		_, err = io.Copy(io.Discard, r.Body)
	}
	if err != nil {
		return nil, err
	}
	headers := r.Header.Clone()
	if len(r.TransferEncoding) > 0 {
		headers["Transfer-Encoding"] = r.TransferEncoding
	}
	hostname, _ := os.Hostname() // an unnamed host is shown without a name
	return &View{
		Name: b.name, Hostname: hostname, IP: localAddresses(), RemoteAddr: r.RemoteAddr,
		Method: r.Method, URL: r.RequestURI, Proto: r.Proto, Host: r.Host,
		Headers: headers, Body: string(body), Trailers: r.Trailer,
	}, nil
}

// localAddresses lists this machine's addresses; none if the system does not tell.
func localAddresses() []string {
	addresses, _ := net.InterfaceAddrs()
	var texts []string
	for _, address := range addresses {
		if prefix, ok := address.(*net.IPNet); ok {
			texts = append(texts, prefix.IP.String())
		}
	}
	return texts
}

// text lays the view out in the manner of Traefik's whoami, fields in alphabetical order.
func (v *View) text() []byte {
	var out bytes.Buffer
	if v.Name != "" {
		fmt.Fprintf(&out, "Name: %s\n", v.Name)
	}
	fmt.Fprintf(&out, "Hostname: %s\n", v.Hostname)
	for _, ip := range v.IP {
		fmt.Fprintf(&out, "IP: %s\n", ip)
	}
	fmt.Fprintf(&out, "RemoteAddr: %s\n%s %s %s\nHost: %s\n", v.RemoteAddr, v.Method, v.URL, v.Proto, v.Host)
	writeFields(&out, v.Headers)
	if v.Body != "" {
		fmt.Fprintf(&out, "\n%s\n", v.Body)
	}
	if len(v.Trailers) > 0 {
		out.WriteByte('\n')
		writeFields(&out, v.Trailers)
	}
	return out.Bytes()
}

func writeFields(out *bytes.Buffer, fields http.Header) {
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		for _, value := range fields[name] {
			fmt.Fprintf(out, "%s: %s\n", name, value)
		}
	}
}

func showHeaders(w http.ResponseWriter, r *http.Request) {
	writeJSON(w, r.Header)
}

func writeJSON(w http.ResponseWriter, value any) {
	text, err := json.Marshal(value)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", fmt.Sprint(len(text)+1))
	w.Write(append(text, '\n'))
}
