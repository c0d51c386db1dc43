package wire

import (
	"reflect"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Decoded byte slices point into the frame that they came in. So a frame's
// memory can be used again only if its message has none, or if they are not kept. The tables hold, by key, whether a message must own its frame.
var (
	requestOwns  = owners(func(key int16) any { return kmsg.RequestForKey(key) }, keyProduce)
	responseOwns = owners(func(key int16) any { return kmsg.ResponseForKey(key) }, -1)
)

const (
	// The records of a produce are in the log when its handler returns, and the
	// request is not used after that.
	keyProduce int16 = 0
	keyFetch   int16 = 1
)

// knownKeys is one more than the largest key that kmsg knows.
const knownKeys = kmsg.MaxKey + 1

func owners(message func(key int16) any, borrows int16) (owns [knownKeys]bool) {
	for key := range owns {
		if int16(key) == borrows {
			continue
		}
		if m := message(int16(key)); m != nil {
			owns[key] = holdsBytes(reflect.TypeOf(m).Elem())
		}
	}
	return owns
}

// holdsBytes looks for a []byte in t, except in unknown tags.
func holdsBytes(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Slice:
		return t.Elem().Kind() == reflect.Uint8 || holdsBytes(t.Elem())
	case reflect.Pointer:
		return holdsBytes(t.Elem())
	case reflect.Struct:
		for i := range t.NumField() {
			if f := t.Field(i); f.Name != "UnknownTags" && holdsBytes(f.Type) {
				return true
			}
		}
	}
	return false
}

// keepRequest is frames' keep for what a server reads: the key comes first.
func keepRequest(head []byte) bool {
	if len(head) < 2 {
		return false
	}
	key := int(head[0])<<8 | int(head[1])
	return key < len(requestOwns) && requestOwns[key]
}
