package static

import (
	"maps"
	"math"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// builtProviders are the names that may stand behind @.
var builtProviders = []string{"file", "internal"}

func (l *Loaded) providers() {
	p := l.Config.Providers
	for i := range p.Precedence {
		l.oneOf("providers.precedence", &p.Precedence[i], builtProviders...)
	}
	if p.File == nil {
		return
	}
	switch {
	case p.File.Filename != "" && p.File.Directory != "":
		l.problem("providers.file", "has both filename and directory; it must have one of them")
	case p.File.Filename == "" && p.File.Directory == "":
		l.problem("providers.file", "needs filename or directory")
	}
}

func (l *Loaded) ocsp() {
	if l.Config.OCSP == nil {
		return
	}
	for _, from := range slices.Sorted(maps.Keys(l.Config.OCSP.ResponderOverrides)) {
		to := l.Config.OCSP.ResponderOverrides[from]
		if u, err := url.Parse(to); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			l.problem("ocsp.responderOverrides."+from, "is %q; it must be the URL of a responder, such as http://ocsp.example.com", to)
		}
	}
}

var labelName = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)

func (l *Loaded) admin() {
	c := l.Config
	if c.API != nil && !strings.HasPrefix(c.API.BasePath, "/") {
		l.problem("api.basePath", "is %q; it must begin with /", c.API.BasePath)
	}
	if c.Ping != nil {
		if !c.Ping.ManualRouting {
			l.entryPoint("ping.entryPoint", c.Ping.EntryPoint)
		}
		if code := c.Ping.TerminatingStatusCode; code < 200 || code > 599 {
			l.problem("ping.terminatingStatusCode", "is %d; it must be from 200 to 599", code)
		}
	}
	if c.Metrics == nil || c.Metrics.Prometheus == nil {
		return
	}
	p := c.Metrics.Prometheus
	if !p.ManualRouting {
		l.entryPoint("metrics.prometheus.entryPoint", p.EntryPoint)
	}
	last := 0.0
	for _, bound := range p.Buckets {
		if !(bound > last) || math.IsInf(bound, 0) {
			l.problem("metrics.prometheus.buckets", "must rise from above 0, and %g does not", bound)
			break
		}
		last = bound
	}
	for _, label := range slices.Sorted(maps.Keys(p.HeaderLabels)) {
		if !labelName.MatchString(label) {
			l.problem("metrics.prometheus.headerLabels."+label, "is no label name: letters, digits and underscores")
		}
		if p.HeaderLabels[label] == "" {
			l.problem("metrics.prometheus.headerLabels."+label, "names no header")
		}
	}
}

func (l *Loaded) logs() {
	c := l.Config
	l.oneOf("log.level", &c.Log.Level, "TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL", "PANIC")
	l.oneOf("log.format", &c.Log.Format, "common", "json")
	a := c.AccessLog
	if a == nil {
		return
	}
	l.oneOf("accessLog.format", &a.Format, "common", "genericCLF", "json")
	for i, s := range a.Filters.StatusCodes {
		if !isStatusRange(s) {
			l.problem("accessLog.filters.statusCodes["+strconv.Itoa(i)+"]", "is %q; it must be a status or a range, such as 404 or 500-599", s)
		}
	}
	l.modes("accessLog.fields", &a.Fields.DefaultMode, a.Fields.Names, "keep", "drop")
	l.modes("accessLog.fields.headers", &a.Fields.Headers.DefaultMode, a.Fields.Headers.Names, "keep", "drop", "redact")
	l.modes("accessLog.fields.queryParameters", &a.Fields.QueryParameters.DefaultMode, a.Fields.QueryParameters.Names, "keep", "drop", "redact")
}

func (l *Loaded) modes(key string, mode *string, names map[string]string, allowed ...string) {
	l.oneOf(key+".defaultMode", mode, allowed...)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		mode := names[name]
		l.oneOf(key+".names."+name, &mode, allowed...)
		names[name] = mode
	}
}

func isStatusRange(s string) bool {
	from, to, isRange := strings.Cut(s, "-")
	if !isRange {
		to = from
	}
	a, errA := strconv.Atoi(from)
	b, errB := strconv.Atoi(to)
	return errA == nil && errB == nil && a >= 100 && b <= 599 && a <= b
}
