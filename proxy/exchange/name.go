package exchange

// Name is a field name made ready for look-ups: build it once, use it per request.
type Name struct {
	id   ID
	text string
}

// ID is the number of a well-known field name; 0 is any other.
type ID uint8

// The well-known names: looked up by number, and known absent by one bit.
const (
	otherID ID = iota
	acceptID
	acceptEncodingID
	acceptLanguageID
	authorizationID
	cacheControlID
	connectionID
	contentEncodingID
	contentLengthID
	contentTypeID
	cookieID
	dateID
	etagID
	expectID
	forwardedID
	hostID
	ifModifiedSinceID
	ifNoneMatchID
	keepAliveID
	lastModifiedID
	locationID
	originID
	proxyAuthenticateID
	proxyAuthorizationID
	proxyConnectionID
	rangeID
	refererID
	serverID
	setCookieID
	teID
	trailerID
	transferEncodingID
	upgradeID
	userAgentID
	varyID
	viaID
	xForwardedForID
	xForwardedHostID
	xForwardedPortID
	xForwardedProtoID
	xForwardedSchemeID
	xForwardedServerID
	xForwardedPrefixID
	xForwardedURIID
	xForwardedMethodID
	xForwardedTLSClientCertID
	xForwardedTLSClientCertInfoID
	xRealIPID
	xRequestIDID
	xSchemeID
	idCount
)

// Well-known names in their usual spelling.
var (
	Accept                      = Name{acceptID, "Accept"}
	AcceptEncoding              = Name{acceptEncodingID, "Accept-Encoding"}
	AcceptLanguage              = Name{acceptLanguageID, "Accept-Language"}
	Authorization               = Name{authorizationID, "Authorization"}
	CacheControl                = Name{cacheControlID, "Cache-Control"}
	Connection                  = Name{connectionID, "Connection"}
	ContentEncoding             = Name{contentEncodingID, "Content-Encoding"}
	ContentLength               = Name{contentLengthID, "Content-Length"}
	ContentType                 = Name{contentTypeID, "Content-Type"}
	Cookie                      = Name{cookieID, "Cookie"}
	Date                        = Name{dateID, "Date"}
	ETag                        = Name{etagID, "Etag"}
	Expect                      = Name{expectID, "Expect"}
	Forwarded                   = Name{forwardedID, "Forwarded"}
	Host                        = Name{hostID, "Host"}
	IfModifiedSince             = Name{ifModifiedSinceID, "If-Modified-Since"}
	IfNoneMatch                 = Name{ifNoneMatchID, "If-None-Match"}
	KeepAlive                   = Name{keepAliveID, "Keep-Alive"}
	LastModified                = Name{lastModifiedID, "Last-Modified"}
	Location                    = Name{locationID, "Location"}
	Origin                      = Name{originID, "Origin"}
	ProxyAuthenticate           = Name{proxyAuthenticateID, "Proxy-Authenticate"}
	ProxyAuthorization          = Name{proxyAuthorizationID, "Proxy-Authorization"}
	ProxyConnection             = Name{proxyConnectionID, "Proxy-Connection"}
	Range                       = Name{rangeID, "Range"}
	Referer                     = Name{refererID, "Referer"}
	Server                      = Name{serverID, "Server"}
	SetCookie                   = Name{setCookieID, "Set-Cookie"}
	TE                          = Name{teID, "Te"}
	TrailerName                 = Name{trailerID, "Trailer"}
	TransferEncoding            = Name{transferEncodingID, "Transfer-Encoding"}
	Upgrade                     = Name{upgradeID, "Upgrade"}
	UserAgent                   = Name{userAgentID, "User-Agent"}
	Vary                        = Name{varyID, "Vary"}
	Via                         = Name{viaID, "Via"}
	XForwardedFor               = Name{xForwardedForID, "X-Forwarded-For"}
	XForwardedHost              = Name{xForwardedHostID, "X-Forwarded-Host"}
	XForwardedPort              = Name{xForwardedPortID, "X-Forwarded-Port"}
	XForwardedProto             = Name{xForwardedProtoID, "X-Forwarded-Proto"}
	XForwardedScheme            = Name{xForwardedSchemeID, "X-Forwarded-Scheme"}
	XForwardedServer            = Name{xForwardedServerID, "X-Forwarded-Server"}
	XForwardedPrefix            = Name{xForwardedPrefixID, "X-Forwarded-Prefix"}
	XForwardedURI               = Name{xForwardedURIID, "X-Forwarded-Uri"}
	XForwardedMethod            = Name{xForwardedMethodID, "X-Forwarded-Method"}
	XForwardedTLSClientCert     = Name{xForwardedTLSClientCertID, "X-Forwarded-Tls-Client-Cert"}
	XForwardedTLSClientCertInfo = Name{xForwardedTLSClientCertInfoID, "X-Forwarded-Tls-Client-Cert-Info"}
	XRealIP                     = Name{xRealIPID, "X-Real-Ip"}
	XRequestID                  = Name{xRequestIDID, "X-Request-Id"}
	XScheme                     = Name{xSchemeID, "X-Scheme"}
)

var wellKnown = [...]Name{
	Accept, AcceptEncoding, AcceptLanguage, Authorization, CacheControl, Connection, ContentEncoding,
	ContentLength, ContentType, Cookie, Date, ETag, Expect, Forwarded, Host, IfModifiedSince,
	IfNoneMatch, KeepAlive, LastModified, Location, Origin, ProxyAuthenticate, ProxyAuthorization,
	ProxyConnection, Range, Referer, Server, SetCookie, TE, TrailerName, TransferEncoding, Upgrade,
	UserAgent, Vary, Via, XForwardedFor, XForwardedHost, XForwardedPort, XForwardedProto,
	XForwardedScheme, XForwardedServer, XForwardedPrefix, XForwardedURI, XForwardedMethod,
	XForwardedTLSClientCert, XForwardedTLSClientCertInfo, XRealIP, XRequestID, XScheme,
}

// nameSlots finds a well-known name by length, first and last letter. Slots chain by next.
var nameSlots, nameNext = func() (slots [256]ID, next [idCount]ID) {
	for _, n := range wellKnown {
		s := nameHash(n.text)
		next[n.id], slots[s] = slots[s], n.id
	}
	return
}()

var nameTexts = func() (texts [idCount]string) {
	for _, n := range wellKnown {
		texts[n.id] = n.text
	}
	return
}()

func nameHash[T string | []byte](s T) uint8 {
	n := len(s)
	return uint8(n)*7 ^ (s[0]|0x20)<<3 ^ (s[n-1] | 0x20) ^ (s[n/2]|0x20)<<1
}

// Identify returns the number of a field name, in any case.
func Identify[T string | []byte](name T) ID {
	if len(name) == 0 {
		return otherID
	}
	for id := nameSlots[nameHash(name)]; id != otherID; id = nameNext[id] {
		if text := nameTexts[id]; string(name) == text || EqualFold(name, text) {
			return id
		}
	}
	return otherID
}

// NewName makes a field name ready for use. The spelling given is the one that is sent.
func NewName(text string) Name {
	if id := Identify(text); id != otherID {
		return Name{id, text}
	}
	return Name{otherID, text}
}

// String is the name as it will be sent.
func (n Name) String() string { return n.text }

// ID is the name's number.
func (n Name) ID() ID { return n.id }

// EqualFold reports whether a and b are the same but for the case of ASCII letters.
func EqualFold[T string | []byte, U string | []byte](a T, b U) bool {
	if len(a) != len(b) {
		return false
	}
	for i := 0; i < len(a); i++ {
		x, y := a[i], b[i]
		if x == y {
			continue
		}
		x |= 0x20
		if x != y|0x20 || x < 'a' || x > 'z' {
			return false
		}
	}
	return true
}
