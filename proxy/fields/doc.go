// Package fields is what the versions of HTTP share of header sections: the rules they must follow,
// and the turning of a decoded section of HTTP/2 or HTTP/3 into a request, a response or a trailer.
//
// A codec decodes a section into a Block and has Request, Response or Trailer look at it. What they
// accept means one thing only and can be sent on as HTTP/1.1 as it stands.
package fields
