package headers

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/pergola-mesh/pergola/middlewares/internal/cors"
	"github.com/pergola-mesh/pergola/proxy/exchange"
)

// crossOrigin answers cross-origin questions. https://fetch.spec.whatwg.org/#http-cors-protocol
type crossOrigin struct {
	origins   []string
	regexes   []*regexp.Regexp
	preflight []edit // what a preflight answer says besides the origin
	actual    []edit // what other answers do
	vary      bool
}

func newCORS(c *Config) (*crossOrigin, error) {
	o := &crossOrigin{origins: c.AccessControlAllowOriginList, vary: c.AddVaryHeader}
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
		add(&o.preflight, cors.AllowCredentials, "true")
		add(&o.actual, cors.AllowCredentials, "true")
	}
	add(&o.preflight, cors.AllowHeaders, strings.Join(c.AccessControlAllowHeaders, ","))
	add(&o.preflight, cors.AllowMethods, strings.Join(c.AccessControlAllowMethods, ","))
	add(&o.preflight, cors.MaxAge, strconv.FormatInt(c.AccessControlMaxAge, 10))
	add(&o.actual, cors.ExposeHeaders, strings.Join(c.AccessControlExposeHeaders, ","))
	for _, e := range slices.Concat(o.preflight, o.actual) {
		if err := checkField(e.name.String(), e.value); err != nil {
			return nil, err
		}
	}
	return o, nil
}

// isPreflight reports whether a browser asks beforehand.
func isPreflight(r *exchange.Request) bool {
	return r.Method == "OPTIONS" && len(r.Header.Get(cors.RequestMethod)) > 0 && len(r.Header.Get(exchange.Origin)) > 0
}

// answer is the response to a preflight request; it does not reach the server.
func (o *crossOrigin) answer(x *exchange.Exchange) {
	x.Respond(200, "", nil)
	apply(&x.Response.Header, o.preflight)
	o.setOrigin(x)
}

// decorate completes any other response.
func (o *crossOrigin) decorate(x *exchange.Exchange) {
	o.setOrigin(x)
	h := &x.Response.Header
	apply(h, o.actual)
	if o.vary && !h.Contains(exchange.Vary, "Origin") {
		h.Add(exchange.Vary, "Origin")
	}
}

func (o *crossOrigin) setOrigin(x *exchange.Exchange) {
	origin := x.Request.Header.Get(exchange.Origin)
	for _, item := range o.origins {
		if item == "*" || item == string(origin) {
			x.Response.Header.Set(cors.AllowOrigin, item)
			return
		}
	}
	if len(origin) == 0 {
		return
	}
	for _, re := range o.regexes {
		if re.Match(origin) {
			x.Response.Header.SetBytes(cors.AllowOrigin, origin)
			return
		}
	}
}
