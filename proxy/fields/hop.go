package fields

import "github.com/pergola-mesh/pergola/proxy/exchange"

// connectionFields must not be in a message of HTTP/2 or 3. RFC 9113 §8.2.2.
var connectionFields = exchange.NewNameSet(exchange.Connection, exchange.KeepAlive, exchange.ProxyConnection,
	exchange.TransferEncoding, exchange.Upgrade)

// HopByHop are the fields that a codec takes for itself: they are about the connection or the framing.
// RFC 9110 §7.6.1.
var HopByHop = connectionFields | exchange.NewNameSet(exchange.Host, exchange.TE, exchange.ContentLength,
	exchange.Expect, exchange.ProxyAuthorization, exchange.ProxyAuthenticate)

// NotInTrailer are fields that frame, route or authorise a message: they are not taken from a trailer.
// RFC 9110 §6.5.1.
var NotInTrailer = HopByHop | exchange.NewNameSet(exchange.Authorization, exchange.Cookie, exchange.SetCookie,
	exchange.ContentType, exchange.ContentEncoding, exchange.CacheControl, exchange.Forwarded,
	exchange.XForwardedFor, exchange.XForwardedHost, exchange.XForwardedPort, exchange.XForwardedProto,
	exchange.XForwardedScheme, exchange.XForwardedServer, exchange.XForwardedPrefix, exchange.XForwardedURI,
	exchange.XForwardedMethod, exchange.XForwardedTLSClientCert, exchange.XForwardedTLSClientCertInfo,
	exchange.XRealIP, exchange.XScheme, exchange.Location, exchange.TrailerName)

var contentRange = exchange.NewName("Content-Range")

// CleanTrailer removes from h what must not come in a trailer.
func CleanTrailer(h *exchange.Header) {
	h.DelSet(NotInTrailer)
	h.Del(contentRange)
}
