package calibrate

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// conn is a connection to a broker: one request after the other, or several at once,
// and nothing between them and the wire that would take time of its own.
type conn struct {
	addr string
	c    net.Conn
	r    *bufio.Reader
	out  []byte
	in   []byte
	last int32 // correlation id
	next int32 // of the answer that comes next
	most map[int16]versions
	stop func() bool // what closes it when the caller gives up
}

type versions struct{ from, to int16 }

// newest are the versions that we speak of each API: below those that name topics by
// their ids, which a topic just made would have to be asked for.
var newest = map[int16]int16{
	0:  12, // Produce
	1:  12, // Fetch
	3:  12, // Metadata
	18: 3,  // ApiVersions
	19: 7,  // CreateTopics
	20: 5,  // DeleteTopics
}

const (
	clientID = "ktrial-calibrate"
	// patience is how long an answer may take.
	patience = 30 * time.Second
	// mostAnswer bounds an answer in bytes.
	mostAnswer = 64 << 20
)

// dial connects and asks which versions the broker speaks. The end of ctx closes the
// connection, so that nothing waits on. took is what the connection
// itself took.
func dial(ctx context.Context, addr string) (c *conn, took time.Duration, err error) {
	d := net.Dialer{Timeout: 10 * time.Second}
	start := time.Now()
	raw, err := d.DialContext(ctx, "tcp", addr)
	took = time.Since(start)
	if err != nil {
		return nil, 0, fmt.Errorf("calibrate: %w", err)
	}
	c = &conn{addr: addr, c: raw, r: bufio.NewReaderSize(raw, 256<<10)}
	c.stop = context.AfterFunc(ctx, func() { raw.Close() })
	if err := c.negotiate(); err != nil {
		c.close()
		return nil, 0, fmt.Errorf("calibrate: %s: asking for its versions: %w (is it a broker's listener without TLS?)", addr, err)
	}
	return c, took, nil
}

func (c *conn) negotiate() error {
	req := kmsg.NewPtrApiVersionsRequest()
	answer, err := c.asked(req)
	if err != nil {
		return err
	}
	resp := answer.(*kmsg.ApiVersionsResponse)
	if err := kerr.ErrorForCode(resp.ErrorCode); err != nil {
		return err
	}
	c.most = map[int16]versions{}
	for _, k := range resp.ApiKeys {
		c.most[k.ApiKey] = versions{k.MinVersion, k.MaxVersion}
	}
	return nil
}

func (c *conn) close() {
	c.stop()
	c.c.Close()
}

// speak sets the version of a request.
func (c *conn) speak(req kmsg.Request) error {
	if c.most == nil { // version 0 of ApiVersions is understood by all
		req.SetVersion(0)
		return nil
	}
	its, known := c.most[req.Key()]
	version := min(its.to, newest[req.Key()])
	if !known || version < its.from {
		return fmt.Errorf("%s: found versions %d to %d, expected at most %d", kmsg.NameForKey(req.Key()), its.from, its.to, newest[req.Key()])
	}
	req.SetVersion(version)
	return nil
}

// add puts a request into the bytes to be sent next.
func (c *conn) add(req kmsg.Request) error {
	if err := c.speak(req); err != nil {
		return err
	}
	c.last++
	at := len(c.out)
	c.out = append(c.out, 0, 0, 0, 0)
	c.out = binary.BigEndian.AppendUint16(c.out, uint16(req.Key()))
	c.out = binary.BigEndian.AppendUint16(c.out, uint16(req.GetVersion()))
	c.out = binary.BigEndian.AppendUint32(c.out, uint32(c.last))
	c.out = binary.BigEndian.AppendUint16(c.out, uint16(len(clientID)))
	c.out = append(c.out, clientID...)
	if req.IsFlexible() {
		c.out = append(c.out, 0)
	}
	c.out = req.AppendTo(c.out)
	binary.BigEndian.PutUint32(c.out[at:], uint32(len(c.out)-at-4))
	return nil
}

// send sends what was added.
func (c *conn) send() error {
	c.c.SetDeadline(time.Now().Add(patience))
	_, err := c.c.Write(c.out)
	c.out = c.out[:0]
	return err
}

// receive reads the next answer; into is nil if its content is of no interest.
func (c *conn) receive(into kmsg.Response) error {
	body, err := c.frame()
	if err != nil {
		return err
	}
	c.next++
	if len(body) < 4 || int32(binary.BigEndian.Uint32(body)) != c.next {
		return fmt.Errorf("found an answer to another request, expected that to request %d", c.next)
	}
	if into == nil {
		return nil
	}
	body = body[4:]
	if into.IsFlexible() && into.Key() != 18 { // those of ApiVersions have no tags in the header (KIP-511)
		if len(body) == 0 || body[0] != 0 {
			return fmt.Errorf("found tags in the header of an answer, expected none")
		}
		body = body[1:]
	}
	return into.ReadFrom(body)
}

func (c *conn) frame() ([]byte, error) {
	var size [4]byte
	if _, err := io.ReadFull(c.r, size[:]); err != nil {
		return nil, err
	}
	n := int(binary.BigEndian.Uint32(size[:]))
	if n > mostAnswer {
		return nil, fmt.Errorf("found an answer of %d bytes, expected at most %d", n, mostAnswer)
	}
	if cap(c.in) < n {
		c.in = make([]byte, n)
	}
	c.in = c.in[:n]
	_, err := io.ReadFull(c.r, c.in)
	return c.in, err
}

// answerTo makes the answer that a request has.
func answerTo(req kmsg.Request) kmsg.Response {
	resp := req.ResponseKind()
	resp.SetVersion(req.GetVersion())
	return resp
}

// asked sends a request and reads its answer.
func (c *conn) asked(req kmsg.Request) (kmsg.Response, error) {
	if err := c.add(req); err != nil {
		return nil, err
	}
	if err := c.send(); err != nil {
		return nil, err
	}
	resp := answerTo(req)
	return resp, c.receive(resp)
}
