// Package frame reads and writes HTTP/2 frames: RFC 9113 §4 and §6.
//
// It works on byte buffers and knows no connection. A Reader finds the frames at the beginning of a
// buffer, checks all that can be told from a frame and the ones before it, and returns slices of the
// buffer; what depends on a stream's state is the caller's to check. The Append functions build
// frames at the end of a buffer.
package frame
