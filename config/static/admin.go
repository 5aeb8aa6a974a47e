package static

// API is the API and the dashboard.
type API struct {
	BasePath           string   `description:"The path they are served below." json:"basePath"`
	Insecure           bool     `description:"Serve them on the entry point traefik, without authentication." json:"insecure"`
	Hosts              []string `description:"Names that requests over a loopback connection may be for, besides localhost: those of a proxy or tunnel on the same machine. * is any." json:"hosts,omitempty" ours:"true"`
	Dashboard          bool     `description:"Serve the dashboard." json:"dashboard"`
	Debug              bool     `description:"Serve /debug/vars and /debug/pprof too." json:"debug"`
	DisableDashboardAd bool     `description:"Accepted: the dashboard has no advertisement." json:"disableDashboardAd"`
	DashboardName      string   `description:"A name shown on the dashboard." json:"dashboardName"`
}

// SetDefaults serves the dashboard from the root.
func (a *API) SetDefaults() { a.BasePath, a.Dashboard = "/", true }

// Ping is the health endpoint.
type Ping struct {
	EntryPoint            string `description:"The entry point that answers." json:"entryPoint"`
	ManualRouting         bool   `description:"Make no router; one of yours uses ping@internal." json:"manualRouting"`
	TerminatingStatusCode int    `description:"The status while the gateway drains." json:"terminatingStatusCode"`
}

// SetDefaults answers on traefik, with 503 while draining.
func (p *Ping) SetDefaults() { p.EntryPoint, p.TerminatingStatusCode = DefaultInternalEntryPoint, 503 }

// Metrics is how metrics get out.
type Metrics struct {
	AddInternals bool           `description:"Count requests to internal services too." json:"addInternals"`
	Prometheus   *Prometheus    `description:"Serve them to Prometheus at /metrics." json:"prometheus,omitempty" file:"allowEmpty"`
	OTLP         map[string]any `description:"Push them by OpenTelemetry." json:"otlp,omitempty"`
}

// Prometheus serves /metrics.
type Prometheus struct {
	Buckets              []float64         `description:"Upper bounds of the duration histograms, in seconds." json:"buckets,omitempty"`
	AddEntryPointsLabels bool              `description:"Count per entry point." json:"addEntryPointsLabels"`
	AddRoutersLabels     bool              `description:"Count per router." json:"addRoutersLabels"`
	AddServicesLabels    bool              `description:"Count per service." json:"addServicesLabels"`
	AddServersLabels     bool              `description:"Count per server of a service." json:"addServersLabels" ours:"true"`
	TraefikNames         bool              `description:"Serve the metrics under Traefik's names too, for existing dashboards." json:"traefikNames" ours:"true"`
	EntryPoint           string            `description:"The entry point that answers." json:"entryPoint"`
	ManualRouting        bool              `description:"Make no router; one of yours uses prometheus@internal." json:"manualRouting"`
	HeaderLabels         map[string]string `description:"Labels of requests_total taken from request headers: label to header." json:"headerLabels,omitempty"`
}

// SetDefaults counts per entry point, service and server, and answers on traefik.
func (p *Prometheus) SetDefaults() {
	p.Buckets = []float64{0.1, 0.3, 1.2, 5}
	p.AddEntryPointsLabels, p.AddServicesLabels, p.AddServersLabels = true, true, true
	p.EntryPoint = DefaultInternalEntryPoint
}

// Tracing sends traces by OpenTelemetry.
type Tracing struct {
	ServiceName             string            `description:"The service's name in traces." json:"serviceName"`
	ResourceAttributes      map[string]string `description:"More attributes of the resource." json:"resourceAttributes,omitempty"`
	CapturedRequestHeaders  []string          `description:"Request headers put into spans." json:"capturedRequestHeaders,omitempty"`
	CapturedResponseHeaders []string          `description:"Response headers put into spans." json:"capturedResponseHeaders,omitempty"`
	SafeQueryParams         []string          `description:"Query parameters that are not redacted." json:"safeQueryParams,omitempty"`
	SampleRate              float64           `description:"The share of requests traced, from 0 to 1." json:"sampleRate"`
	AddInternals            bool              `description:"Trace internal services too." json:"addInternals"`
	OTLP                    map[string]any    `description:"Where traces go." json:"otlp,omitempty"`
}

// SetDefaults traces everything.
func (t *Tracing) SetDefaults() { t.ServiceName, t.SampleRate = "pergola", 1 }
