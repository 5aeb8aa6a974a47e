package headers

import (
	"errors"
	"fmt"
)

// Config is the middleware's configuration. An empty value in one of the custom maps deletes the
// field.
type Config struct {
	CustomRequestHeaders  map[string]string `json:"customRequestHeaders,omitempty"`
	CustomResponseHeaders map[string]string `json:"customResponseHeaders,omitempty"`

	AccessControlAllowCredentials     bool     `json:"accessControlAllowCredentials,omitempty"`
	AccessControlAllowHeaders         []string `json:"accessControlAllowHeaders,omitempty"`
	AccessControlAllowMethods         []string `json:"accessControlAllowMethods,omitempty"`
	AccessControlAllowOriginList      []string `json:"accessControlAllowOriginList,omitempty"`
	AccessControlAllowOriginListRegex []string `json:"accessControlAllowOriginListRegex,omitempty"`
	AccessControlExposeHeaders        []string `json:"accessControlExposeHeaders,omitempty"`
	AccessControlMaxAge               int64    `json:"accessControlMaxAge,omitempty"` // seconds
	AddVaryHeader                     bool     `json:"addVaryHeader,omitempty"`

	AllowedHosts      []string          `json:"allowedHosts,omitempty"`
	HostsProxyHeaders []string          `json:"hostsProxyHeaders,omitempty"`
	SSLProxyHeaders   map[string]string `json:"sslProxyHeaders,omitempty"`

	STSSeconds                      int64  `json:"stsSeconds,omitempty"`
	STSIncludeSubdomains            bool   `json:"stsIncludeSubdomains,omitempty"`
	STSPreload                      bool   `json:"stsPreload,omitempty"`
	ForceSTSHeader                  bool   `json:"forceSTSHeader,omitempty"`
	FrameDeny                       bool   `json:"frameDeny,omitempty"`
	CustomFrameOptionsValue         string `json:"customFrameOptionsValue,omitempty"`
	ContentTypeNosniff              bool   `json:"contentTypeNosniff,omitempty"`
	BrowserXSSFilter                bool   `json:"browserXssFilter,omitempty"`
	CustomBrowserXSSValue           string `json:"customBrowserXSSValue,omitempty"`
	ContentSecurityPolicy           string `json:"contentSecurityPolicy,omitempty"`
	ContentSecurityPolicyReportOnly string `json:"contentSecurityPolicyReportOnly,omitempty"`
	PublicKey                       string `json:"publicKey,omitempty"`
	ReferrerPolicy                  string `json:"referrerPolicy,omitempty"`
	PermissionsPolicy               string `json:"permissionsPolicy,omitempty"`
	// IsDevelopment switches off the checks and fields that get in the way on a local machine:
	// AllowedHosts, the STS field and PublicKey.
	IsDevelopment bool `json:"isDevelopment,omitempty"`

	// Keys of older versions. They are refused, with what replaces them, unless they say nothing.
	SSLRedirect          bool   `json:"sslRedirect,omitempty"`
	SSLTemporaryRedirect bool   `json:"sslTemporaryRedirect,omitempty"`
	SSLHost              string `json:"sslHost,omitempty"`
	SSLForceHost         bool   `json:"sslForceHost,omitempty"`
	FeaturePolicy        string `json:"featurePolicy,omitempty"`
}

// checkDeprecated refuses the keys that are no longer honoured.
func (c *Config) checkDeprecated() error {
	var errs []error
	for _, key := range []struct {
		set          bool
		name, remedy string
	}{
		{c.SSLRedirect, "sslRedirect", "use a redirectScheme middleware with scheme https"},
		{c.SSLTemporaryRedirect, "sslTemporaryRedirect", "use a redirectScheme middleware, which is temporary unless permanent is set"},
		{c.SSLHost != "", "sslHost", "use a redirectRegex middleware"},
		{c.SSLForceHost, "sslForceHost", "use a redirectRegex middleware"},
		{c.FeaturePolicy != "", "featurePolicy", "use permissionsPolicy"},
	} {
		if key.set {
			errs = append(errs, fmt.Errorf("%s was removed in v3: %s", key.name, key.remedy))
		}
	}
	return errors.Join(errs...)
}

func (c *Config) hasCORS() bool {
	return c.AccessControlAllowCredentials || len(c.AccessControlAllowHeaders) > 0 ||
		len(c.AccessControlAllowMethods) > 0 || len(c.AccessControlAllowOriginList) > 0 ||
		len(c.AccessControlAllowOriginListRegex) > 0 || len(c.AccessControlExposeHeaders) > 0 ||
		c.AccessControlMaxAge != 0 || c.AddVaryHeader
}
