package sessions

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/sim/env"
)

// conn is a connection to one broker. Requests are written byte by byte as the
// session wants them, in any version, valid or not: no client library would.
type conn struct {
	c    Conn
	net  Network
	r    *bufio.Reader
	corr int32
}

const (
	// maxAnswer bounds the size of an answer in bytes.
	maxAnswer = 100 << 20
	// patience is how long an answer may take. Kafka leaves some requests
	// unanswered for good.
	patience = 15 * time.Second
)

func dial(n Network, addr string) (*conn, error) {
	c, err := n.Dial(addr)
	if err != nil {
		return nil, err
	}
	return &conn{c: c, net: n, r: bufio.NewReader(c)}, nil
}

// header appends the header of a request.
func header(dst []byte, key, version int16, corr int32, flexible bool) []byte {
	dst = binary.BigEndian.AppendUint16(dst, uint16(key))
	dst = binary.BigEndian.AppendUint16(dst, uint16(version))
	dst = binary.BigEndian.AppendUint32(dst, uint32(corr))
	dst = binary.BigEndian.AppendUint16(dst, 4)
	dst = append(dst, "diff"...)
	if flexible {
		dst = append(dst, 0)
	}
	return dst
}

func (c *conn) write(payload []byte) error {
	frame := binary.BigEndian.AppendUint32(nil, uint32(len(payload)))
	frame = append(frame, payload...)
	_, err := c.c.Write(frame)
	return err
}

func (c *conn) read(until time.Duration) ([]byte, error) {
	c.c.SetReadDeadline(until)
	var size [4]byte
	if _, err := io.ReadFull(c.r, size[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(size[:])
	if n > maxAnswer {
		return nil, fmt.Errorf("frame of %d bytes", n)
	}
	b := make([]byte, n)
	_, err := io.ReadFull(c.r, b)
	return b, err
}

// answered reports whether an answer begins within a time. The answer remains to
// be received.
func (c *conn) answered(within time.Duration) bool {
	c.c.SetReadDeadline(c.net.Uptime() + within)
	_, err := c.r.Peek(1)
	return err == nil || !errors.Is(err, env.ErrTimeout)
}

// outcome is what came back for one request: an answer, or what went wrong
// (closed, timeout, undecodable, trailing bytes).
type outcome struct {
	resp  kmsg.Response
	fault string
}

// send sends a request, whose answer is to be received.
func (c *conn) send(req kmsg.Request) error {
	c.corr++
	return c.write(req.AppendTo(header(nil, req.Key(), req.GetVersion(), c.corr, req.IsFlexible())))
}

// receive waits until a time for the answer to the request that was sent last.
func (c *conn) receive(req kmsg.Request, until time.Duration) outcome {
	b, err := c.read(until)
	if err != nil {
		return outcome{fault: failure(err)}
	}
	return decode(req, b, c.corr)
}

func decode(req kmsg.Request, b []byte, corr int32) outcome {
	if len(b) < 4 || int32(binary.BigEndian.Uint32(b)) != corr {
		return outcome{fault: "wrong correlation"}
	}
	b = b[4:]
	resp := req.ResponseKind()
	resp.SetVersion(req.GetVersion())
	const apiVersions = 18 // its answers have no tags in the header (KIP-511)
	if resp.IsFlexible() && req.Key() != apiVersions {
		if len(b) == 0 || b[0] != 0 {
			return outcome{fault: "bad header tags"}
		}
		b = b[1:]
	}
	if err := resp.ReadFrom(b); err != nil {
		if req.Key() == apiVersions { // a version that is not known is answered in version 0
			resp.SetVersion(0)
			if resp.ReadFrom(b) == nil {
				return outcome{resp: resp}
			}
		}
		return outcome{fault: "undecodable"}
	}
	if again := resp.AppendTo(nil); len(again) != len(b) {
		return outcome{resp: resp, fault: fmt.Sprintf("%d bytes too many", len(b)-len(again))}
	}
	return outcome{resp: resp}
}
