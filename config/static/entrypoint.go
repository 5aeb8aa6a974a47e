package static

import (
	"strings"
	"time"

	"github.com/pergola-mesh/pergola/config/dynamic"
)

// EntryPoint is an address the gateway listens on and the rules for what comes in there.
type EntryPoint struct {
	Address          string           `description:"Where to listen: [host]:port, then /tcp (the default) or /udp." json:"address"`
	AllowACMEByPass  bool             `description:"Let routers answer ACME challenges instead of the gateway." json:"allowACMEByPass"`
	ReusePort        bool             `description:"Set SO_REUSEPORT, so that several processes may listen on the address." json:"reusePort"`
	AsDefault        bool             `description:"Be one of the entry points of routers that name none. Those for UDP are it in any case, for routers of UDP." json:"asDefault"`
	Limits           ConnectionLimits `description:"Caps on connections." json:"limits" ours:"true"`
	Transport        Transport        `description:"Timeouts and the life of connections." json:"transport"`
	StartTLS         *StartTLS        `description:"Speak a protocol in which the server speaks first and TLS begins later, and nothing else: for TCP routers that name the entry point and choose by server name." json:"startTLS,omitempty" ours:"true"`
	ProxyProtocol    *ProxyProtocol   `description:"Read the client's address from a PROXY protocol header, v1 or v2." json:"proxyProtocol,omitempty" file:"allowEmpty"`
	ForwardedHeaders ForwardedHeaders `description:"Whose X-Forwarded-* headers are believed. Ours say in X-Forwarded-Proto http or https, and ws or wss of a WebSocket." json:"forwardedHeaders"`
	HTTP             HTTP             `description:"What holds for HTTP requests." json:"http"`
	HTTP2            HTTP2            `description:"HTTP/2. Who does not acknowledge SETTINGS within 10s is cut; servers are, too." json:"http2"`
	HTTP3            *HTTP3           `description:"Speak HTTP/3 too, on the UDP port of the same number, and say so in Alt-Svc on responses over TLS. http3: {} turns it on." json:"http3,omitempty" file:"allowEmpty"`
	TCP              TCP              `description:"What holds for connections of TCP routers." json:"tcp" ours:"true"`
	UDP              UDP              `description:"What holds for a /udp address." json:"udp"`
	Observability    Observability    `description:"What is recorded of the entry point's routers, unless they say otherwise." json:"observability"`
}

// SetDefaults sets the hardened defaults.
func (e *EntryPoint) SetDefaults() {
	e.Limits.MaxConnectionsPerClient = 1024
	e.Transport.SetDefaults()
	e.HTTP.SetDefaults()
	e.HTTP2 = HTTP2{MaxConcurrentStreams: 100, MaxDecoderHeaderTableSize: 4096, MaxEncoderHeaderTableSize: 4096}
	e.TCP.IdleTimeout = Duration(time.Hour)
	e.UDP = UDP{Timeout: Duration(3 * time.Second), MaxSessions: 65536, MaxSessionsPerClient: 1024}
	e.Observability = Observability{AccessLogs: true, Metrics: true, Tracing: true, TraceVerbosity: "minimal"}
}

// ListenAddress is the address without the protocol.
func (e *EntryPoint) ListenAddress() string {
	address, _, _ := strings.Cut(e.Address, "/")
	return address
}

// Protocol is "tcp" or "udp", or what else the address says.
func (e *EntryPoint) Protocol() string {
	if _, protocol, ok := strings.Cut(e.Address, "/"); ok {
		return strings.ToLower(protocol)
	}
	return "tcp"
}

// ConnectionLimits caps an entry point. Zero means no cap of its own.
type ConnectionLimits struct {
	MaxConnections          int `description:"Connections at a time. 0 leaves only limits.maxConnections." json:"maxConnections" ours:"true"`
	MaxConnectionsPerClient int `description:"Connections at a time from one client address (for IPv6, from one /64). 0 means no cap." json:"maxConnectionsPerClient" ours:"true"`
}

// Transport is the life of an entry point's connections.
type Transport struct {
	LifeCycle            LifeCycle          `description:"What happens at shutdown." json:"lifeCycle"`
	RespondingTimeouts   RespondingTimeouts `description:"How long a client may stall. All are about progress: a transfer that moves is never cut off." json:"respondingTimeouts"`
	KeepAliveMaxTime     Duration           `description:"Close a connection after it has been open this long, between requests. 0 means never." json:"keepAliveMaxTime"`
	KeepAliveMaxRequests int                `description:"Close a connection after so many requests. 0 means never." json:"keepAliveMaxRequests"`
}

// SetDefaults sets the timeouts and a grace of ten seconds.
func (t *Transport) SetDefaults() {
	t.LifeCycle.GraceTimeOut = Duration(10 * time.Second)
	t.RespondingTimeouts = RespondingTimeouts{
		HeaderTimeout: Duration(10 * time.Second),
		ReadTimeout:   Duration(30 * time.Second),
		WriteTimeout:  Duration(30 * time.Second),
		IdleTimeout:   Duration(60 * time.Second),
	}
}

// LifeCycle is what happens at shutdown.
type LifeCycle struct {
	RequestAcceptGraceTimeout Duration `description:"How long to go on accepting requests after the signal to stop, while /ping already answers no." json:"requestAcceptGraceTimeout"`
	GraceTimeOut              Duration `description:"How long requests may then take to end." json:"graceTimeOut"`
}

// RespondingTimeouts bound how long a client may stall. Zero means no limit.
type RespondingTimeouts struct {
	HeaderTimeout Duration `description:"From the first byte of a request to the end of its head; from accepting a connection to the end of its PROXY header and its TLS handshake." json:"headerTimeout" ours:"true"`
	ReadTimeout   Duration `description:"The longest a request's body may make no progress. In Traefik this bounds the whole request." json:"readTimeout"`
	WriteTimeout  Duration `description:"The longest a client may take nothing of a response. In Traefik this bounds the whole response." json:"writeTimeout"`
	IdleTimeout   Duration `description:"How long a keep-alive connection may wait for its next request." json:"idleTimeout"`
}

// StartTLS is a protocol in which the server speaks first and TLS begins later.
type StartTLS struct {
	Protocol      string `description:"The protocol: mysql, which is MariaDB's too." json:"protocol" ours:"true"`
	ServerVersion string `description:"The version that clients of MySQL are told before it is known which server they will have. Some go by it: let it be that of the servers, such as 10.11.6-MariaDB." json:"serverVersion" ours:"true"`
}

// SetDefaults sets the version of MySQL that most drivers are made for.
func (s *StartTLS) SetDefaults() { s.ServerVersion = "8.0.40" }

// ProxyProtocol is who may announce a client's address in a PROXY protocol header.
type ProxyProtocol struct {
	Insecure   bool     `description:"Believe anyone. Only for tests." json:"insecure"`
	TrustedIPs []string `description:"Addresses and CIDR ranges that are believed; the header of others is refused." json:"trustedIPs,omitempty"`
}

// ForwardedHeaders is whose X-Forwarded-* headers are believed; those of others are removed.
type ForwardedHeaders struct {
	Insecure                   bool     `description:"Believe anyone. Only for tests." json:"insecure"`
	TrustedIPs                 []string `description:"Addresses and CIDR ranges of proxies in front whose headers are believed." json:"trustedIPs,omitempty"`
	Connection                 []string `description:"Headers that the Connection header may name and that still reach middlewares." json:"connection,omitempty"`
	NotAppendXForwardedFor     bool     `description:"Leave the client's address off X-Forwarded-For." json:"notAppendXForwardedFor"`
	AddXForwardedSchemeHeaders bool     `description:"Add X-Forwarded-Scheme and X-Scheme too." json:"addXForwardedSchemeHeaders"`
}

// HTTP2 bounds HTTP/2 connections.
type HTTP2 struct {
	MaxConcurrentStreams      int `description:"Streams at a time on one connection of HTTP/2 or HTTP/3." json:"maxConcurrentStreams"`
	MaxDecoderHeaderTableSize int `description:"The HPACK table for what clients send, in bytes." json:"maxDecoderHeaderTableSize"`
	MaxEncoderHeaderTableSize int `description:"The HPACK table for what is sent to clients, in bytes." json:"maxEncoderHeaderTableSize"`
}

// HTTP3 adds HTTP/3 on the UDP port of the same number.
type HTTP3 struct {
	AdvertisedPort int `description:"The port announced in Alt-Svc: the one that clients reach from outside. 0 means the entry point's." json:"advertisedPort"`
}

// TCP is what holds for connections of TCP routers.
type TCP struct {
	IdleTimeout Duration `description:"How long a connection of a TCP router may move nothing, either way. 0 means for ever." json:"idleTimeout" ours:"true"`
}

// UDP is what holds for a /udp entry point.
type UDP struct {
	Timeout              Duration `description:"How long a session may be idle." json:"timeout"`
	MaxSessions          int      `description:"Sessions at a time; datagrams of others are dropped. 0 means no cap." json:"maxSessions" ours:"true"`
	MaxSessionsPerClient int      `description:"Sessions at a time of one client address (for IPv6, of one /64). 0 means no cap." json:"maxSessionsPerClient" ours:"true"`
}

// Observability is what is recorded of an entry point's routers.
type Observability struct {
	AccessLogs     bool   `description:"Write access log lines." json:"accessLogs"`
	Metrics        bool   `description:"Count in metrics." json:"metrics"`
	Tracing        bool   `description:"Trace. Without effect in this build, which has no tracing." json:"tracing"`
	TraceVerbosity string `description:"minimal (a span a request) or detailed (a span a layer). Without effect in this build." json:"traceVerbosity"`
}

// TLS is the default TLS of an entry point's routers.
type TLS = dynamic.RouterTLS
