package static

// Rotation is when a log file is put away and begun anew.
type Rotation struct {
	MaxSize    int  `description:"Megabytes after which the file is rotated. 0 means it is not; in Traefik it means 100." json:"maxSize"`
	MaxAge     int  `description:"Days that rotated files are kept. 0 means for good." json:"maxAge"`
	MaxBackups int  `description:"Rotated files that are kept. 0 means all." json:"maxBackups"`
	Compress   bool `description:"Compress rotated files with gzip." json:"compress"`
}

// Log is the operations log.
type Log struct {
	Level    string `description:"TRACE, DEBUG, INFO, WARN, ERROR, FATAL or PANIC." json:"level"`
	Format   string `description:"common or json." json:"format"`
	NoColor  bool   `description:"No colours in the common format." json:"noColor"`
	FilePath string `description:"The file; standard output when empty." json:"filePath"`
	Rotation
}

// SetDefaults logs errors as text.
func (l *Log) SetDefaults() { l.Level, l.Format = "ERROR", "common" }

// AccessLog is the access log.
type AccessLog struct {
	FilePath      string           `description:"The file; standard output when empty. SIGUSR1 reopens it." json:"filePath"`
	Format        string           `description:"common, genericCLF or json." json:"format"`
	Filters       AccessLogFilters `description:"Which requests get a line; one that any filter picks does." json:"filters"`
	Fields        AccessLogFields  `description:"Which fields a line has." json:"fields"`
	BufferingSize int              `description:"Lines that may wait for the writer. Fewer than 8192 stand for 8192." json:"bufferingSize"`
	AddInternals  bool             `description:"Log requests to internal services too." json:"addInternals"`
	DualOutput    bool             `description:"Write the file beside OpenTelemetry export." json:"dualOutput"`
	Rotation      `ours:"true"`
}

// SetDefaults writes the common format with all fields, no headers and all query parameters.
func (a *AccessLog) SetDefaults() {
	a.Format = "common"
	a.Fields.DefaultMode = "keep"
	a.Fields.Headers.DefaultMode = "drop"
	a.Fields.QueryParameters.DefaultMode = "keep"
}

// AccessLogFilters picks the requests that are logged. Nothing set picks all.
type AccessLogFilters struct {
	StatusCodes   []string `description:"Statuses and ranges, such as 404 or 500-599." json:"statusCodes,omitempty"`
	RetryAttempts bool     `description:"Requests that were retried." json:"retryAttempts"`
	MinDuration   Duration `description:"Requests that took longer." json:"minDuration"`
}

// AccessLogFields says what becomes of each field of a line.
type AccessLogFields struct {
	DefaultMode     string            `description:"keep or drop." json:"defaultMode"`
	Names           map[string]string `description:"keep or drop, by field." json:"names,omitempty"`
	Headers         FieldModes        `description:"The same for request headers." json:"headers"`
	QueryParameters FieldModes        `description:"The same for query parameters." json:"queryParameters"`
}

// FieldModes says what becomes of headers or query parameters.
type FieldModes struct {
	DefaultMode string            `description:"keep, drop or redact." json:"defaultMode"`
	Names       map[string]string `description:"keep, drop or redact, by name." json:"names,omitempty"`
}
