package middlewares

import (
	"log/slog"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/pergola-mesh/pergola/proxy/exchange"
)

func TestKindsAreInOrder(t *testing.T) {
	kinds := Kinds()
	if !slices.IsSorted(kinds) || len(slices.Compact(kinds)) != len(catalogue) {
		t.Errorf("%q is not a list in order without repetitions", kinds)
	}
	for _, name := range notBuilt {
		if slices.Contains(kinds, name) {
			t.Errorf("%s is built", name)
		}
	}
}

func TestUnknownKinds(t *testing.T) {
	for name, want := range map[string]string{
		"stripPrefx":  `unknown middleware kind "stripPrefx": did you mean stripPrefix?`,
		"Header":      `unknown middleware kind "Header": did you mean headers?`,
		"forwardauth": "middleware kind forwardAuth is not in this build yet",
		"xyzzyxyzzy":  `unknown middleware kind "xyzzyxyzzy": there are addPrefix, `,
		"":            "the middleware has no kind: give it one, such as headers",
	} {
		if _, err := New(Env{}, name, nil); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v, want %s", name, err, want)
		}
	}
}

func TestErrorsNameTheKind(t *testing.T) {
	_, err := New(testEnv(), "ADDPREFIX", map[string]any{})
	if err == nil || !strings.HasPrefix(err.Error(), "addPrefix: prefix is empty") {
		t.Errorf("%v", err)
	}
	_, err = New(testEnv(), "addPrefix", map[string]any{"prefx": "/a"})
	if err == nil || !strings.Contains(err.Error(), "prefx") {
		t.Errorf("an unknown key gives %v", err)
	}
}

func TestOldNames(t *testing.T) {
	var log strings.Builder
	env := testEnv()
	env.Logger = slog.New(slog.NewTextHandler(&log, nil))
	if _, err := New(env, "ipwhitelist", map[string]any{"sourceRange": []any{"10.0.0.0/8"}}); err != nil || !strings.Contains(log.String(), "use that one") {
		t.Errorf("%v, logged %q", err, log.String())
	}
}

// Every kind's README must speak of every key, so that nobody adds one in silence.
func TestReadmesNameEveryKey(t *testing.T) {
	for _, k := range catalogue {
		var config any
		env := testEnv()
		env.Decode = func(_ map[string]any, target any) error { config = target; return exchange.Internal }
		k.build(env, nil)
		text, err := os.ReadFile(folder(k.name) + "/README.md")
		if err != nil {
			t.Error(err)
			continue
		}
		for _, key := range keys(reflect.TypeOf(config).Elem()) {
			if !strings.Contains(string(text), "`"+key+"`") {
				t.Errorf("%s/README.md does not mention `%s`", folder(k.name), key)
			}
		}
	}
}

// keys are the configuration keys of a struct, with those of its sections as section.key.
func keys(t reflect.Type) []string {
	var names []string
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		names = append(names, name)
		if f.Type.Kind() == reflect.Pointer && f.Type.Elem().Kind() == reflect.Struct {
			for _, inner := range keys(f.Type.Elem()) {
				names = append(names, name+"."+inner)
			}
		}
	}
	return names
}

// folder is where a kind lives.
func folder(kind string) string {
	if kind == "ipWhiteList" {
		kind = "ipAllowList"
	}
	return strings.ToLower(kind)
}
