package api

import (
	"net/url"
	"slices"
	"strings"

	"github.com/pergola-mesh/pergola/config/dynamic"
)

// hidden is shown instead of a secret.
const hidden = "REDACTED"

// secretWords are what the names of keys and headers that hold secrets have in them, in lower case.
var secretWords = []string{"password", "secret", "token", "apikey", "api-key", "authorization", "credential", "privatekey", "hmac"}

// secretNames are whole names of such keys, and of those that tell who somebody is.
var secretNames = []string{"cookie", "email", "key", "kid"}

// secretKey says whether what is under a key is not for showing.
func secretKey(key string) bool {
	key = strings.ToLower(key)
	return slices.Contains(secretNames, key) || slices.ContainsFunc(secretWords, func(word string) bool { return strings.Contains(key, word) })
}

// hideSecrets copies a configuration and leaves its secrets out: strings under keys that hold such,
// the second half of "users" entries, private keys, and passwords in URLs.
func hideSecrets(v any) any {
	switch v := v.(type) {
	case map[string]any:
		shown := make(map[string]any, len(v))
		for key, value := range v {
			shown[key] = hideUnder(key, value)
		}
		return shown
	case []any:
		shown := make([]any, len(v))
		for i, value := range v {
			shown[i] = hideSecrets(value)
		}
		return shown
	case string:
		if strings.Contains(v, "PRIVATE KEY-----") {
			return hidden
		}
		return withoutPassword(v)
	}
	return v
}

func hideUnder(key string, v any) any {
	switch {
	case strings.EqualFold(key, "users"):
		return hideEach(v, func(user string) string {
			name, _, _ := strings.Cut(user, ":")
			return name + ":" + hidden
		})
	case secretKey(key):
		return hideEach(v, func(string) string { return hidden })
	}
	return hideSecrets(v)
}

// hideEach applies hide to a string, or to each of a list of them; the rest is looked into.
func hideEach(v any, hide func(string) string) any {
	switch v := v.(type) {
	case string:
		if v == "" {
			return v
		}
		return hide(v)
	case []any:
		shown := make([]any, len(v))
		for i, value := range v {
			shown[i] = hideEach(value, hide)
		}
		return shown
	}
	return hideSecrets(v)
}

// withoutPassword hides the password in a URL; other text stays as it is.
func withoutPassword(text string) string {
	if !strings.Contains(text, "://") || !strings.Contains(text, "@") {
		return text
	}
	u, err := url.Parse(text)
	if err != nil {
		return hidden
	}
	if _, set := u.User.Password(); !set {
		return text
	}
	u.User = url.UserPassword(u.User.Username(), hidden)
	return u.String()
}

// withoutSecrets is a service without passwords in URLs and secret headers of health checks. What has
// none is returned as it is.
func withoutSecrets(s *dynamic.Service) *dynamic.Service {
	if s == nil || s.LoadBalancer == nil {
		return s
	}
	balancer := *s.LoadBalancer
	balancer.Servers = slices.Clone(balancer.Servers)
	for i := range balancer.Servers {
		balancer.Servers[i].URL = withoutPassword(balancer.Servers[i].URL)
	}
	if balancer.HealthCheck != nil {
		check := *balancer.HealthCheck
		check.Headers = make(map[string]string, len(check.Headers))
		for name, value := range balancer.HealthCheck.Headers {
			if secretKey(name) {
				value = hidden
			}
			check.Headers[name] = value
		}
		balancer.HealthCheck = &check
	}
	shown := *s
	shown.LoadBalancer = &balancer
	return &shown
}
