package wire

import (
	"encoding/binary"
	"fmt"

	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// keyApiVersions is the one API whose response header is never flexible: the
// client that reads it does not know yet what the server speaks (KIP-511).
const keyApiVersions int16 = 18

// Header is a request's header. ClientID is "" where none was given.
type Header struct {
	Key           int16
	Version       int16
	CorrelationID int32
	ClientID      string
}

// headerBytes is the fixed part: key, version, correlation id.
const headerBytes = 8

// parseFixed reads the part of a request header that has one form for all keys.
func parseFixed(frame []byte) (h Header, err error) {
	if len(frame) < headerBytes {
		return h, fmt.Errorf("request header: %w: %d bytes, expected at least %d", ErrMalformed, len(frame), headerBytes)
	}
	h.Key = int16(binary.BigEndian.Uint16(frame))
	h.Version = int16(binary.BigEndian.Uint16(frame[2:]))
	h.CorrelationID = int32(binary.BigEndian.Uint32(frame[4:]))
	return h, nil
}

// clientID reads the rest of the header of a request of the given kind, and
// returns the body. lastID is the connection's client id so far: it seldom
// changes, and an equal one costs no memory.
func clientID(rest []byte, flexible bool, lastID string) (id string, body []byte, err error) {
	r := kbin.Reader{Src: rest}
	// The client id stays a plain nullable string even in flexible headers.
	n := r.Int16()
	if n > 0 {
		raw := r.Span(int(n))
		if string(raw) == lastID {
			id = lastID
		} else {
			id = string(raw)
		}
	}
	if flexible {
		skipTags(&r)
	}
	if !r.Ok() {
		return "", nil, fmt.Errorf("request header: %w: it ends in the middle of the client id or the tags", ErrMalformed)
	}
	return id, r.Src, nil
}

// appendRequest appends the whole frame of req: size, header, body.
func appendRequest(dst []byte, req kmsg.Request, correlationID int32, clientID string) []byte {
	at := len(dst)
	dst = append(dst, 0, 0, 0, 0)
	dst = binary.BigEndian.AppendUint16(dst, uint16(req.Key()))
	dst = binary.BigEndian.AppendUint16(dst, uint16(req.GetVersion()))
	dst = binary.BigEndian.AppendUint32(dst, uint32(correlationID))
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(clientID)))
	dst = append(dst, clientID...)
	if req.IsFlexible() {
		dst = append(dst, 0)
	}
	dst = appendBody(dst, req)
	return closeFrame(dst, at)
}

// appendResponse appends the whole frame of resp.
func appendResponse(dst []byte, resp kmsg.Response, correlationID int32) []byte {
	at := len(dst)
	dst = append(dst, 0, 0, 0, 0)
	dst = binary.BigEndian.AppendUint32(dst, uint32(correlationID))
	if flexibleResponseHeader(resp) {
		dst = append(dst, 0)
	}
	dst = appendBody(dst, resp)
	return closeFrame(dst, at)
}

func closeFrame(dst []byte, at int) []byte {
	binary.BigEndian.PutUint32(dst[at:], uint32(len(dst)-at-4))
	return dst
}

// parseResponse reads a response frame into resp, whose version is set.
func parseResponse(frame []byte, resp kmsg.Response, correlationID int32) error {
	if len(frame) < 4 {
		return fmt.Errorf("response header: %w: %d bytes, expected at least 4", ErrMalformed, len(frame))
	}
	if id := int32(binary.BigEndian.Uint32(frame)); id != correlationID {
		return fmt.Errorf("response header: %w: correlation id %d, expected %d", ErrMalformed, id, correlationID)
	}
	r := kbin.Reader{Src: frame[4:]}
	if flexibleResponseHeader(resp) {
		if skipTags(&r); !r.Ok() {
			return fmt.Errorf("response header: %w: it ends in the middle of the tags", ErrMalformed)
		}
	}
	return readResponse(resp, r.Src)
}

// skipTags passes the tags of a header, of which there are none as a rule. It
// does not take the count at its word: kmsg's own SkipTags goes through four
// billion tags that a frame of twenty bytes claims to have.
func skipTags(r *kbin.Reader) {
	for n := r.Uvarint(); n > 0 && r.Ok(); n-- {
		r.Uvarint()
		r.Span(int(r.Uvarint()))
	}
}

func flexibleResponseHeader(resp kmsg.Response) bool {
	return resp.IsFlexible() && resp.Key() != keyApiVersions
}
