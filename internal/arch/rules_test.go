package arch

// A rule says what the packages of one part of the tree may import. Patterns are folders of this module;
// "/..." at the end takes in everything below, and the folder itself; leaves is a pattern too.
type rule struct {
	// packages the rule is for. The first rule that matches a package is the one that counts.
	packages string
	// own are the packages of this module that it may import, besides those of the same packages pattern
	// if siblings is set.
	own      []string
	siblings bool
	// modules are the import path prefixes that it may import from elsewhere; nil is none, everything is all.
	modules []string
	// never are standard packages that it must do without.
	never []string
	why   string
}

// leaves is the pattern of the helpers at the bottom: all of internal but what stands above the rest.
const leaves = "leaves"

// notLeaves are the packages of internal that are none.
var notLeaves = []string{"internal/app/...", "internal/arch", "internal/whoami"}

// everything allows every module.
var everything = []string{""}

// sockets are the standard packages through which bytes get in and out.
var sockets = []string{"net", "net/http/httputil", "net/rpc", "net/smtp", "crypto/tls", "syscall"}

var rules = []rule{
	{packages: "cmd/...", own: []string{"internal/app", "internal/app/..."},
		why: "a command is flags and signals: composition belongs to internal/app"},
	{packages: "internal/app/...", own: []string{"..."}, siblings: true, modules: everything,
		why: "internal/app composes the whole"},
	{packages: "internal/arch", why: "arch holds tests only"},
	{packages: "internal/whoami", modules: []string{"github.com/coder/websocket"},
		why: "the demonstration backend is a program of its own: it proves nothing if it shares the gateway's code"},
	{packages: "internal/handover", own: []string{leaves}, modules: []string{"golang.org/x/sys/", "golang.org/x/net/ipv4"},
		why: "handing sockets over is the system's business, batches of datagrams included"},
	{packages: "internal/...", own: []string{leaves}, modules: []string{"golang.org/x/sys/", "github.com/fsnotify/"},
		why: "leaves stand at the bottom: the standard library, the system, and each other"},

	{packages: "config/dynamic", own: []string{leaves}, modules: everything,
		why: "the dynamic configuration is data, known to providers and to the snapshot alone"},
	{packages: "config/...", own: []string{leaves}, siblings: true, modules: everything,
		why: "configuration is data: it knows nothing of what will be made of it"},

	{packages: "proxy/exchange/...", own: []string{leaves}, siblings: true,
		why: "the exchange is what everything else speaks in, so it can depend on nothing that does"},
	{packages: "proxy/listen/...", own: []string{"proxy/exchange", leaves}, siblings: true,
		modules: []string{"golang.org/x/sys/"},
		why:     "listening knows connections, not protocols or configuration"},
	{packages: "proxy/route/...", own: []string{"proxy/exchange", leaves}, siblings: true,
		why: "routing looks at the exchange alone"},
	{packages: "proxy/fields/...", own: []string{"proxy/exchange", leaves}, siblings: true,
		why: "the rules of header sections are shared by all codecs, and know none"},
	{packages: "proxy/h1/...", own: codec, siblings: true, modules: []string{"golang.org/x/sys/"}, why: codecWhy},
	{packages: "proxy/h2/...", own: codec, siblings: true, modules: everything, why: codecWhy},
	{packages: "proxy/h3/...", own: codec, siblings: true, modules: everything, why: codecWhy},
	{packages: "proxy/relay/...", own: codec, siblings: true, modules: []string{"golang.org/x/sys/"},
		why: "relaying bytes needs connections and nothing above them"},
	{packages: "proxy/upstream/...", own: []string{"proxy/h1", "proxy/h2", "proxy/h3", "proxy/relay/...", "proxy/exchange", "proxy/listen", leaves}, siblings: true,
		modules: everything,
		why:     "services stand on the codecs; what configures them is the snapshot's business"},
	{packages: "proxy/snapshot/...", siblings: true, modules: everything,
		own: []string{"proxy/...", "config/...", "middlewares", "middlewares/...", "telemetry/...", "identity/...", leaves},
		why: "the snapshot turns configuration into a runtime; it must not know who sent it or who shows it"},

	{packages: "middlewares/internal/...", own: []string{"proxy/exchange", leaves}, siblings: true,
		modules: everything, never: sockets, why: middlewareWhy},
	{packages: "middlewares", own: []string{"middlewares/...", "proxy/exchange", "config/dynamic", leaves},
		modules: everything, never: sockets,
		why: "the catalogue lists the middlewares, and builds one from its configuration"},
	{packages: "middlewares/...", own: []string{"proxy/exchange", "middlewares/internal/...", leaves},
		modules: everything, never: sockets, why: middlewareWhy},

	{packages: "providers", own: []string{"config/...", "providers/...", leaves}, modules: everything, why: providerWhy},
	{packages: "providers/...", own: []string{"config/...", "providers", "providers/providertest", leaves},
		siblings: false, modules: everything, why: providerWhy},

	{packages: "telemetry/...", own: []string{"proxy/exchange", "config/...", leaves}, siblings: true, modules: everything,
		why: "telemetry reads the exchange's record; whoever runs the exchange calls it"},
	{packages: "identity/...", own: []string{"config/...", leaves}, siblings: true, modules: everything,
		why: "certificates and identities are found and kept apart from the connections that use them"},
	{packages: "dashboard/...", own: []string{"proxy/snapshot", "proxy/exchange", "telemetry/...", "config/...", leaves},
		siblings: true, modules: everything,
		why: "the dashboard shows the snapshot and the telemetry, and reaches into nothing else"},
	{packages: "plugins/...", own: []string{"proxy/exchange", "middlewares", "middlewares/internal/...", leaves},
		siblings: true, modules: everything,
		why: "a plugin is a middleware whose code comes from outside"},

	{packages: "gateway/...", own: role, siblings: true, modules: everything,
		why: "the two roles share the core and nothing else: the gateway never imports the mesh proxy"},
	{packages: "meshproxy/...", own: role, siblings: true, modules: everything,
		why: "the two roles share the core and nothing else: the mesh proxy never imports the gateway"},

	{packages: "integration/...", own: []string{"internal/whoami", "internal/certtest", "internal/nettest", "internal/waittest"}, siblings: true, modules: everything,
		why: "black-box tests see the binary as a user does: they share no code with it, only what tests are made of"},
}

var (
	codec    = []string{"proxy/exchange", "proxy/fields", "proxy/listen", leaves}
	codecWhy = "a codec turns bytes into exchanges and back; it knows no configuration, routing or service"

	// role is what gateway and meshproxy may build on: the core, what plugs into it, and what observes it.
	role = []string{"proxy/...", "config/...", "middlewares", "telemetry/...", "identity/...", leaves}

	middlewareWhy = "a middleware does not care what runs before or after it, and never sees a socket"
	providerWhy   = "a provider says what should be: it knows the configuration's types, never the core that obeys"
)
