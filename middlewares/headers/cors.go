package headers

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/pergola-mesh/pergola/proxy/exchange"
)

var (
	requestMethod    = exchange.NewName("Access-Control-Request-Method")
	allowOrigin      = exchange.NewName("Access-Control-Allow-Origin")
	allowCredentials = exchange.NewName("Access-Control-Allow-Credentials")
	allowHeaders     = exchange.NewName("Access-Control-Allow-Headers")
	allowMethods     = exchange.NewName("Access-Control-Allow-Methods")
	exposeHeaders    = exchange.NewName("Access-Control-Expose-Headers")
	maxAge           = exchange.NewName("Access-Control-Max-Age")
)

// cors answers cross-origin questions. https://fetch.spec.whatwg.org/#http-cors-protocol
type cors struct {
	origins   []string
	regexes   []*regexp.Regexp
	preflight []edit // what a preflight answer says besides the origin
	actual    []edit // what other answers do
	vary      bool
}

func newCORS(c *Config) (*cors, error) {
	o := &cors{origins: c.AccessControlAllowOriginList, vary: c.AddVaryHeader}
	for i, text := range c.AccessControlAllowOriginListRegex {
		re, err := regexp.Compile(text)
		if err != nil {
			return nil, fmt.Errorf("accessControlAllowOriginListRegex[%d]: %w", i, err)
		}
		o.regexes = append(o.regexes, re)
	}
	add := func(list *[]edit, name exchange.Name, value string) {
		if value != "" {
			*list = append(*list, edit{name: name, value: value})
		}
	}
	if c.AccessControlAllowCredentials {
		add(&o.preflight, allowCredentials, "true")
		add(&o.actual, allowCredentials, "true")
	}
	add(&o.preflight, allowHeaders, strings.Join(c.AccessControlAllowHeaders, ","))
	add(&o.preflight, allowMethods, strings.Join(c.AccessControlAllowMethods, ","))
	add(&o.preflight, maxAge, strconv.FormatInt(c.AccessControlMaxAge, 10))
	add(&o.actual, exposeHeaders, strings.Join(c.AccessControlExposeHeaders, ","))
	for _, e := range slices.Concat(o.preflight, o.actual) {
		if err := checkField(e.name.String(), e.value); err != nil {
			return nil, err
		}
	}
	return o, nil
}

// isPreflight reports whether a browser asks beforehand.
func isPreflight(r *exchange.Request) bool {
	return r.Method == "OPTIONS" && len(r.Header.Get(requestMethod)) > 0 && len(r.Header.Get(exchange.Origin)) > 0
}

// answer is the response to a preflight request; it does not reach the server.
func (o *cors) answer(x *exchange.Exchange) {
	x.Respond(200, "", nil)
	apply(&x.Response.Header, o.preflight)
	o.setOrigin(x)
}

// decorate completes any other response.
func (o *cors) decorate(x *exchange.Exchange) {
	o.setOrigin(x)
	h := &x.Response.Header
	apply(h, o.actual)
	if o.vary && !h.Contains(exchange.Vary, "Origin") {
		h.Add(exchange.Vary, "Origin")
	}
}

func (o *cors) setOrigin(x *exchange.Exchange) {
	origin := x.Request.Header.Get(exchange.Origin)
	for _, item := range o.origins {
		if item == "*" || item == string(origin) {
			x.Response.Header.Set(allowOrigin, item)
			return
		}
	}
	if len(origin) == 0 {
		return
	}
	for _, re := range o.regexes {
		if re.Match(origin) {
			x.Response.Header.SetBytes(allowOrigin, origin)
			return
		}
	}
}
