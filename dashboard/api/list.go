package api

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/pergola-mesh/pergola/proxy/snapshot"
)

// item is an object of a list: what it is searched, filtered and sorted by, and how it is shown.
type item struct {
	router                              bool
	name, provider, kind, rule, service string
	status                              snapshot.Status
	priority, entryPoints, servers      int
	middlewares                         []string
	issuer                              string // of a certificate
	expires                             int64  // of a certificate, Unix seconds
	search                              []string
	connection                          *Connection // of an open connection
	show                                func() any
}

// section is a list that the API has.
type section struct {
	path   string // below /api/
	noun   string
	all    func(s *state) []item
	one    func(s *state, name string) (item, bool)
	orders map[string]order
}

// state is what one request is answered from.
type state struct {
	*snapshot.View
	certificates []Certificate
	connections  func(protocol string) []Connection
}

// order compares two items, before their names do.
type order func(a, b *item) int

var (
	byProvider order = func(a, b *item) int { return cmp.Compare(a.provider, b.provider) }
	byStatus   order = func(a, b *item) int { return cmp.Compare(a.status, b.status) }
	byKind     order = func(a, b *item) int { return cmp.Compare(a.kind, b.kind) }

	routerOrders = map[string]order{
		"provider": byProvider, "status": byStatus,
		"priority":    func(a, b *item) int { return cmp.Compare(a.priority, b.priority) },
		"rule":        func(a, b *item) int { return cmp.Compare(a.rule, b.rule) },
		"service":     func(a, b *item) int { return cmp.Compare(a.service, b.service) },
		"entryPoints": func(a, b *item) int { return cmp.Compare(a.entryPoints, b.entryPoints) },
	}
	serviceOrders = map[string]order{
		"provider": byProvider, "status": byStatus, "type": byKind,
		"servers": func(a, b *item) int { return cmp.Compare(a.servers, b.servers) },
	}
	middlewareOrders  = map[string]order{"provider": byProvider, "status": byStatus, "type": byKind}
	certificateOrders = map[string]order{
		"status":     byStatus,
		"issuer":     func(a, b *item) int { return cmp.Compare(a.issuer, b.issuer) },
		"validUntil": func(a, b *item) int { return cmp.Compare(a.expires, b.expires) },
	}
)

// serveList answers with a page of the items that the query asks for.
func (s *section) serveList(w http.ResponseWriter, query url.Values, now *state) {
	items := slices.DeleteFunc(s.all(now), func(i item) bool { return !matches(query, &i) })
	arrange(items, s.orders[query.Get("sortBy")], query.Get("direction") == "desc")
	from, to, next, err := page(query, len(items))
	if err != nil {
		writeError(w, http.StatusBadRequest, err.Error())
		return
	}
	shown := make([]any, 0, to-from)
	for _, i := range items[from:to] {
		shown = append(shown, i.show())
	}
	w.Header().Set("X-Next-Page", strconv.Itoa(next))
	writeJSON(w, shown)
}

// serveOne answers with one object, whose name is percent-encoded.
func (s *section) serveOne(w http.ResponseWriter, encoded string, now *state) {
	name, err := url.PathUnescape(encoded)
	if err != nil {
		writeError(w, http.StatusBadRequest, "unable to decode the name "+encoded)
		return
	}
	i, found := s.one(now, name)
	if !found {
		writeError(w, http.StatusNotFound, s.noun+" not found: "+name)
		return
	}
	writeJSON(w, i.show())
}

// matches says whether an item is one that the query asks for.
func matches(query url.Values, i *item) bool {
	if status := query.Get("status"); status != "" && !strings.EqualFold(status, string(i.status)) {
		return false
	}
	if text := strings.ToLower(query.Get("search")); text != "" &&
		!slices.ContainsFunc(i.search, func(s string) bool { return strings.Contains(strings.ToLower(s), text) }) {
		return false
	}
	if !i.router {
		return true
	}
	if service := query.Get("serviceName"); service != "" && !sameName(i.service, service) {
		return false
	}
	middleware := query.Get("middlewareName")
	return middleware == "" || slices.ContainsFunc(i.middlewares, func(name string) bool {
		return name == middleware || name+"@"+i.provider == middleware
	})
}

// sameName says whether a reference, which may lack the provider, is to the object asked for.
func sameName(reference, asked string) bool {
	if strings.Contains(reference, "@") {
		return reference == asked
	}
	before, _, _ := strings.Cut(asked, "@")
	return reference == before
}

// arrange sorts items by an order, which may be nil, and by name.
func arrange(items []item, o order, descending bool) {
	slices.SortFunc(items, func(a, b item) int {
		c := 0
		if o != nil {
			c = o(&a, &b)
		}
		c = cmp.Or(c, cmp.Compare(a.name, b.name))
		if descending {
			return -c
		}
		return c
	})
}

const defaultPerPage = 100

// page is the part of n items that the query asks for, and the number of the page after it; 1 when
// there is none.
func page(query url.Values, n int) (from, to, next int, err error) {
	perPage, err := positive(query, "per_page", defaultPerPage)
	if err != nil {
		return
	}
	number, err := positive(query, "page", 1)
	if err != nil {
		return
	}
	// The bounds are looked at before they are multiplied, which could overflow.
	if number > 1 && (number-1 > n/perPage || (number-1)*perPage >= n) {
		return 0, 0, 0, fmt.Errorf("invalid request: page: %d, per_page: %d", number, perPage)
	}
	from = (number - 1) * perPage
	to, next = n, 1
	if perPage < n-from {
		to, next = from+perPage, number+1
	}
	return from, to, next, nil
}

func positive(query url.Values, key string, otherwise int) (int, error) {
	text := query.Get(key)
	if text == "" {
		return otherwise, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n <= 0 {
		return 0, fmt.Errorf("invalid request: %s: %d", key, n)
	}
	return n, nil
}

func providerOf(name string) string {
	_, provider, _ := strings.Cut(name, "@")
	return provider
}
