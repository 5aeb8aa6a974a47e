// Package frame is the wire format of HTTP/3: frames, settings and stream types. RFC 9114 §6.2, §7.
package frame
