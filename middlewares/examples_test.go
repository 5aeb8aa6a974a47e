package middlewares

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/pergola-mesh/pergola/config/load"
	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/exchange/exchangetest"
	"gopkg.in/yaml.v3"
)

// Each kind's README has one ```yaml block, a dynamic configuration with a middleware of the kind,
// and ```http blocks that say what it does:
//
//	> GET /path            the client's request, then its fields, then a body after "> |"
//	>> GET /other          what the service must get; ">> no Name" for a field it must not get
//	<< 200                 what the service answers, fields and body likewise; 200 without
//	< 200                  what the client must get, likewise
//
// Without a ">>" line the service must not be asked at all.
func TestReadmeExamples(t *testing.T) {
	for _, name := range Kinds() {
		t.Run(name, func(t *testing.T) {
			if name == "ipWhiteList" {
				name = "ipAllowList"
			}
			text, err := os.ReadFile(folder(name) + "/README.md")
			if err != nil {
				t.Fatal(err)
			}
			configs, transcripts := fenced(string(text), "yaml"), fenced(string(text), "http")
			if len(configs) != 1 || len(transcripts) == 0 {
				t.Fatalf("%d yaml blocks and %d http blocks", len(configs), len(transcripts))
			}
			m := exampleMiddleware(t, name, configs[0])
			for _, transcript := range transcripts {
				runTranscript(t, m, transcript)
			}
		})
	}
}

// fenced returns the text of the fenced blocks of a language.
func fenced(text, language string) []string {
	var blocks []string
	for {
		_, rest, ok := strings.Cut(text, "\n```"+language+"\n")
		if !ok {
			return blocks
		}
		block, after, _ := strings.Cut(rest, "\n```")
		blocks, text = append(blocks, block), after
	}
}

// exampleMiddleware builds the middleware of the kind that a configuration has.
func exampleMiddleware(t *testing.T, kind, text string) exchange.Middleware {
	t.Helper()
	var config struct {
		HTTP struct {
			Middlewares map[string]map[string]map[string]any
		}
	}
	if err := yaml.Unmarshal([]byte(text), &config); err != nil {
		t.Fatal(err)
	}
	env := testEnv()
	env.Middleware = func(name string) (exchange.Middleware, error) {
		for kind, section := range config.HTTP.Middlewares[name] {
			return New(env, kind, section)
		}
		return nil, fmt.Errorf("no middleware %s", name)
	}
	for name, kinds := range config.HTTP.Middlewares {
		if _, ok := kinds[kind]; ok {
			m, err := env.Middleware(name)
			if err != nil {
				t.Fatal(err)
			}
			return m
		}
	}
	t.Fatalf("no middleware of kind %s", kind)
	return nil
}

// testEnv decodes as the gateway does. Its services answer with their name and the URI they got.
func testEnv() Env {
	return Env{
		Logger: slog.New(slog.DiscardHandler),
		Decode: func(raw map[string]any, target any) error {
			var errs []error
			for _, problem := range load.Decode(raw, target) {
				errs = append(errs, fmt.Errorf("%s: %s", problem.Key, problem.Message))
			}
			return errors.Join(errs...)
		},
		Service: func(name string) (exchange.Handler, error) {
			return exchange.HandlerFunc(func(x *exchange.Exchange) error {
				x.Respond(200, "text/plain", fmt.Appendf(nil, "%s %s", name, x.Request.Path))
				return nil
			}), nil
		},
		Middleware: func(name string) (exchange.Middleware, error) { return nil, fmt.Errorf("no middleware %s", name) },
		ReadFile:   func(path string) ([]byte, error) { return nil, fmt.Errorf("open %s: no such file", path) },
	}
}

// message is one of the four parts of a transcript.
type message struct {
	first  string
	fields []string
	body   string
}

func runTranscript(t *testing.T, m exchange.Middleware, transcript string) {
	t.Helper()
	parts := map[string]*message{}
	for line := range strings.Lines(transcript) {
		mark, text, _ := strings.Cut(strings.TrimRight(line, "\n"), " ")
		part := parts[mark]
		switch body, isBody := strings.CutPrefix(text, "| "); {
		case part == nil:
			parts[mark] = &message{first: text}
		case isBody:
			part.body += body
		default:
			part.fields = append(part.fields, text)
		}
	}
	asked, forwarded, answered, got := parts[">"], parts[">>"], parts["<<"], parts["<"]
	if asked == nil || got == nil {
		t.Fatalf("no request or no response in\n%s", transcript)
	}

	backend := &exchangetest.Backend{}
	if answered != nil {
		backend.Status, _ = strconv.Atoi(answered.first)
		backend.Fields, backend.Text = answered.fields, answered.body
	}
	method, target, _ := strings.Cut(asked.first, " ")
	var request []any
	for _, field := range asked.fields {
		request = append(request, field)
	}
	if asked.body != "" {
		request = append(request, []byte(asked.body))
	}
	r := exchangetest.Do(m(backend), exchangetest.Request(method, target, request...))

	if (backend.Calls > 0) != (forwarded != nil) {
		t.Fatalf("the service was asked %d times in\n%s", backend.Calls, transcript)
	}
	if forwarded != nil {
		if uri := backend.Method + " " + backend.URI; uri != forwarded.first {
			t.Errorf("the service got %q in\n%s", uri, transcript)
		}
		checkFields(t, "the service", forwarded.fields, &backend.Header, backend.Host, transcript)
	}
	if strconv.Itoa(r.Status) != got.first {
		t.Errorf("the client got %d in\n%s", r.Status, transcript)
	}
	checkFields(t, "the client", got.fields, &r.Header, "", transcript)
	if got.body != "" && r.Body != got.body {
		t.Errorf("the client got the body %q in\n%s", r.Body, transcript)
	}
}

func checkFields(t *testing.T, who string, fields []string, h *exchange.Header, host, transcript string) {
	t.Helper()
	for _, line := range fields {
		if name, ok := strings.CutPrefix(line, "no "); ok {
			if h.Has(exchange.NewName(name)) {
				t.Errorf("%s got %s in\n%s", who, name, transcript)
			}
			continue
		}
		name, want, _ := strings.Cut(line, ": ")
		got := string(h.Get(exchange.NewName(name)))
		if name == "Host" && host != "" {
			got = host
		}
		if got != want {
			t.Errorf("%s got %s: %q in\n%s", who, name, got, transcript)
		}
	}
}
