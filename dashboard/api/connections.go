package api

import (
	"cmp"
	"strconv"
	"time"

	"github.com/pergola-mesh/pergola/proxy/snapshot"
)

// Connection is one of a TCP router, or a session of a UDP router, that is open.
type Connection struct {
	ID         uint64 `json:"id"`
	EntryPoint string `json:"entryPoint"`
	Client     string `json:"client"`
	// ServerName is what the client asked for in TLS.
	ServerName string `json:"serverName,omitempty"`
	Router     string `json:"router,omitempty"`
	Service    string `json:"service,omitempty"`
	// Server is empty as long as there is none.
	Server        string `json:"server,omitempty"`
	BytesReceived int64  `json:"bytesReceived"`
	BytesSent     int64  `json:"bytesSent"`
	// Age in seconds.
	Age float64 `json:"age"`
}

// Seconds is d as Age has it.
func Seconds(d time.Duration) float64 { return d.Round(time.Millisecond).Seconds() }

// connectionOrders are those of connections; the others order by strings, and numbers are not.
var connectionOrders = map[string]order{
	"age":           func(a, b *item) int { return cmp.Compare(a.connection.Age, b.connection.Age) },
	"bytesReceived": func(a, b *item) int { return cmp.Compare(a.connection.BytesReceived, b.connection.BytesReceived) },
	"bytesSent":     func(a, b *item) int { return cmp.Compare(a.connection.BytesSent, b.connection.BytesSent) },
	"router":        func(a, b *item) int { return cmp.Compare(a.connection.Router, b.connection.Router) },
	"server":        func(a, b *item) int { return cmp.Compare(a.connection.Server, b.connection.Server) },
}

// connections is the section of the open connections of a protocol.
func connections(path, protocol, noun string) *section {
	return &section{path, noun,
		func(s *state) (items []item) {
			if s.connections == nil {
				return nil
			}
			for _, c := range s.connections(protocol) {
				items = append(items, connection(c))
			}
			return items
		},
		func(s *state, name string) (item, bool) {
			if s.connections == nil {
				return item{}, false
			}
			for _, c := range s.connections(protocol) {
				if strconv.FormatUint(c.ID, 10) == name {
					return connection(c), true
				}
			}
			return item{}, false
		}, connectionOrders}
}

func connection(c Connection) item {
	return item{
		name: strconv.FormatUint(c.ID, 10), status: snapshot.Enabled, service: c.Service, connection: &c,
		search: []string{c.Client, c.Router, c.Service, c.Server, c.ServerName, c.EntryPoint},
		show:   func() any { return c },
	}
}
