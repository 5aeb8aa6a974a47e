package accesslog

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/pergola-mesh/pergola/config/static"
)

// fieldID is a member of a JSON line.
type fieldID uint8

// The fields that every line has, then those that depend on what happened.
const (
	clientAddr fieldID = iota
	clientHost
	clientPort
	clientUsername
	downstreamContentSize
	downstreamStatus
	duration
	overhead
	requestAddr
	requestContentSize
	requestCount
	requestHost
	requestMethod
	requestPath
	requestPort
	requestProtocol
	requestScheme
	retryAttempts
	startLocal
	startUTC
	entryPointName

	routerName
	serviceAddr
	serviceName
	serviceURL
	originContentSize
	originDuration
	originStatus
	tlsCipher
	tlsClientSubject
	tlsVersion
	errorKind
	errorText
	fieldCount

	firstOptional = routerName
)

// fields are the names and kinds of value, by fieldID.
var fields = [fieldCount]struct {
	name   string
	number bool
}{
	clientAddr:            {name: "ClientAddr"},
	clientHost:            {name: "ClientHost"},
	clientPort:            {name: "ClientPort"},
	clientUsername:        {name: "ClientUsername"},
	downstreamContentSize: {name: "DownstreamContentSize", number: true},
	downstreamStatus:      {name: "DownstreamStatus", number: true},
	duration:              {name: "Duration", number: true},
	overhead:              {name: "Overhead", number: true},
	requestAddr:           {name: "RequestAddr"},
	requestContentSize:    {name: "RequestContentSize", number: true},
	requestCount:          {name: "RequestCount", number: true},
	requestHost:           {name: "RequestHost"},
	requestMethod:         {name: "RequestMethod"},
	requestPath:           {name: "RequestPath"},
	requestPort:           {name: "RequestPort"},
	requestProtocol:       {name: "RequestProtocol"},
	requestScheme:         {name: "RequestScheme"},
	retryAttempts:         {name: "RetryAttempts", number: true},
	startLocal:            {name: "StartLocal"},
	startUTC:              {name: "StartUTC"},
	entryPointName:        {name: "entryPointName"},
	routerName:            {name: "RouterName"},
	serviceAddr:           {name: "ServiceAddr"},
	serviceName:           {name: "ServiceName"},
	serviceURL:            {name: "ServiceURL"},
	originContentSize:     {name: "OriginContentSize", number: true},
	originDuration:        {name: "OriginDuration", number: true},
	originStatus:          {name: "OriginStatus", number: true},
	tlsCipher:             {name: "TLSCipher"},
	tlsClientSubject:      {name: "TLSClientSubject"},
	tlsVersion:            {name: "TLSVersion"},
	errorKind:             {name: "ErrorKind"},
	errorText:             {name: "Error"},
}

// notLogged are Traefik's fields that lines do not have: configuring them is no mistake.
var notLogged = []string{
	"GzipRatio", "TraceId", "SpanId", "trace_id", "span_id", "KubernetesIngressNamespace",
	"KubernetesIngressName", "KubernetesServiceName", "KubernetesServicePort",
}

// step is a field of a line and the text before its value.
type step struct {
	before string
	id     fieldID
}

// layout is what makes up a JSON line: the optional fields that have a value; the text before and the
// value of each step; after, which ends in what comes before the time of the line.
type layout struct {
	optional, steps []step
	after           string
}

func newLayout(kept *[fieldCount]bool) layout {
	var l layout
	end := "" // of the value before
	for id := range fieldCount {
		if !kept[id] {
			continue
		}
		quote := `"`
		if fields[id].number {
			quote = ""
		}
		before := `"` + fields[id].name + `":` + quote
		if id >= firstOptional {
			l.optional = append(l.optional, step{before, id})
			continue
		}
		l.steps = append(l.steps, step{end + before, id})
		end = quote + ","
	}
	l.after = end + `"level":"info","msg":"","time":"`
	return l
}

// chooseFields finds which fields are kept.
func chooseFields(c *static.AccessLogFields, logger *slog.Logger) (kept [fieldCount]bool, err error) {
	otherwise, err := parseKeep("fields.defaultMode", c.DefaultMode, true)
	if err != nil {
		return kept, err
	}
	for id := range kept {
		kept[id] = otherwise
	}
	for name, mode := range c.Names {
		keep, err := parseKeep("fields.names."+name, mode, otherwise)
		if err != nil {
			return kept, err
		}
		same := func(known string) bool { return strings.EqualFold(known, name) }
		known := slices.ContainsFunc(notLogged, same) || slices.ContainsFunc(streamFields, func(f streamField) bool { return same(f.name) })
		for id := range fields {
			if same(fields[id].name) {
				kept[id], known = keep, true
			}
		}
		if !known {
			logger.Warn("accessLog.fields.names: there is no such field", "name", name)
		}
	}
	return kept, nil
}

// chooseStreamFields finds which of the fields are kept that only lines of streams have.
func chooseStreamFields(c *static.AccessLogFields) (map[string]bool, error) {
	otherwise, err := parseKeep("fields.defaultMode", c.DefaultMode, true)
	kept := map[string]bool{}
	for _, f := range streamFields {
		kept[f.name] = otherwise
		for name, mode := range c.Names {
			if err == nil && strings.EqualFold(name, f.name) {
				kept[f.name], err = parseKeep("fields.names."+name, mode, otherwise)
			}
		}
	}
	return kept, err
}

func parseKeep(key, mode string, otherwise bool) (bool, error) {
	switch mode {
	case "":
		return otherwise, nil
	case "keep":
		return true, nil
	case "drop":
		return false, nil
	}
	return false, fmt.Errorf("%s: %q is not a mode: use keep or drop", key, mode)
}
