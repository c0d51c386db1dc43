// Package wire carries Kafka's requests and responses over connections: frames,
// headers, versions, pipelining. What the messages mean is none of its
// business; their bodies are franz-go's kmsg.
//
// One end is Conn: Dial, then Call or Send. The other is Server: a task per
// connection that reads one request, has it handled, writes the answer and
// only then reads the next, as Kafka mutes a connection while a request of it
// is in flight. So a Handler may simply block, and answers leave in order.
package wire

import (
	"errors"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// MaxRequestBytes is the default of socket.request.max.bytes.
const MaxRequestBytes int32 = 100 << 20

// MaxResponseBytes bounds what a client reads as one response. Kafka's clients
// have no such bound; ours must not let a rotten size field eat the memory of
// all the worlds in this process.
const MaxResponseBytes int32 = 1 << 30

// ErrMalformed says that the peer sent bytes that are no frame, header or body.
// The connection is closed: nothing after them can be understood.
var ErrMalformed = errors.New("malformed")

// answered reports whether req has a response at all.
func answered(req kmsg.Request) bool {
	produce, ok := req.(*kmsg.ProduceRequest)
	return !ok || produce.Acks != 0
}
