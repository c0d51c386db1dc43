package wire

import (
	"encoding/binary"
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// ReadRequest reads one frame of a client, without its size, for an observer of a
// connection between others. Byte slices of the request point into the frame.
// A request of an unknown key or version is an error.
func ReadRequest(frame []byte) (Header, kmsg.Request, error) {
	h, err := parseFixed(frame)
	if err != nil {
		return h, nil, err
	}
	req := kmsg.RequestForKey(h.Key)
	if req == nil || h.Version < 0 || h.Version > req.MaxVersion() {
		return h, nil, fmt.Errorf("request of key %d, version %d: %w: not known here", h.Key, h.Version, ErrMalformed)
	}
	req.SetVersion(h.Version)
	id, body, err := clientID(frame[headerBytes:], req.IsFlexible(), "")
	if err != nil {
		return h, nil, err
	}
	h.ClientID = id
	return h, req, readRequest(req, body)
}

// ReadResponse reads the frame that answers req, without its size. Byte slices of the
// response point into the frame.
func ReadResponse(req kmsg.Request, frame []byte) (kmsg.Response, error) {
	resp := req.ResponseKind()
	resp.SetVersion(req.GetVersion())
	id, _ := CorrelationID(frame)
	return resp, parseResponse(frame, resp, id)
}

// CorrelationID is that of the frame of a response, or of a request; ok: it has one.
func CorrelationID(response []byte) (id int32, ok bool) {
	if len(response) < 4 {
		return 0, false
	}
	return int32(binary.BigEndian.Uint32(response)), true
}

// Answered reports whether a request has an answer: a Produce with acks=0 has none.
func Answered(req kmsg.Request) bool { return answered(req) }

// AppendResponse appends the frame of a response, without its size.
func AppendResponse(dst []byte, resp kmsg.Response, correlationID int32) []byte {
	frame := appendResponse(nil, resp, correlationID)
	return append(dst, frame[sizeBytes:]...)
}
