// Package cors has the names of the header fields by which browsers ask who may read a response.
// https://fetch.spec.whatwg.org/#http-cors-protocol
package cors

import "github.com/pergola-mesh/pergola/proxy/exchange"

// What browsers ask, beside exchange.Origin.
var (
	RequestMethod  = exchange.NewName("Access-Control-Request-Method")
	RequestHeaders = exchange.NewName("Access-Control-Request-Headers")
)

// What they are answered.
var (
	AllowOrigin      = exchange.NewName("Access-Control-Allow-Origin")
	AllowCredentials = exchange.NewName("Access-Control-Allow-Credentials")
	AllowHeaders     = exchange.NewName("Access-Control-Allow-Headers")
	AllowMethods     = exchange.NewName("Access-Control-Allow-Methods")
	ExposeHeaders    = exchange.NewName("Access-Control-Expose-Headers")
	MaxAge           = exchange.NewName("Access-Control-Max-Age")
)
