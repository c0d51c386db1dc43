package metadata

import (
	"github.com/twmb/franz-go/pkg/kbin"

	"github.com/ktrial/ktrial/broker/kafka"
)

// coder reads or writes a record, field by field, in Kafka's flexible encoding
// (compact strings and arrays, tagged fields at the end). Because both
// directions follow the same list of fields they cannot disagree.
type coder struct {
	reading bool
	version int16

	in  kbin.Reader
	out []byte

	// Tagged fields of the struct at hand; a struct within a tagged field is
	// not provided for, Kafka has none here. Writing: countAt is where their number stands, once there
	// is one. Reading: left are still to come, and next is the number of the
	// first, unless it is -1: not read yet.
	begun   bool
	countAt int
	left    uint32
	next    int64
}

type (
	int8s  interface{ ~int8 }
	int16s interface{ ~int16 }
	int32s interface{ ~int32 }
	int64s interface{ ~int64 }
)

func asInt8[T int8s](c *coder, v *T) {
	if c.reading {
		*v = T(c.in.Int8())
	} else {
		c.out = kbin.AppendInt8(c.out, int8(*v))
	}
}

func asInt16[T int16s](c *coder, v *T) {
	if c.reading {
		*v = T(c.in.Int16())
	} else {
		c.out = kbin.AppendInt16(c.out, int16(*v))
	}
}

func asInt32[T int32s](c *coder, v *T) {
	if c.reading {
		*v = T(c.in.Int32())
	} else {
		c.out = kbin.AppendInt32(c.out, int32(*v))
	}
}

func asInt64[T int64s](c *coder, v *T) {
	if c.reading {
		*v = T(c.in.Int64())
	} else {
		c.out = kbin.AppendInt64(c.out, int64(*v))
	}
}

func (c *coder) uint16(v *uint16) {
	if c.reading {
		*v = c.in.Uint16()
	} else {
		c.out = kbin.AppendUint16(c.out, *v)
	}
}

func (c *coder) float64(v *float64) {
	if c.reading {
		*v = c.in.Float64()
	} else {
		c.out = kbin.AppendFloat64(c.out, *v)
	}
}

func (c *coder) bool(v *bool) {
	if c.reading {
		*v = c.in.Bool()
	} else {
		c.out = kbin.AppendBool(c.out, *v)
	}
}

func (c *coder) uuid(v *kafka.UUID) {
	if c.reading {
		*v = c.in.Uuid()
	} else {
		c.out = append(c.out, v[:]...)
	}
}

func (c *coder) string(v *string) {
	if c.reading {
		*v = c.in.CompactString()
	} else {
		c.out = kbin.AppendCompactString(c.out, *v)
	}
}

func (c *coder) nullableString(v **string) {
	if c.reading {
		*v = c.in.CompactNullableString()
	} else {
		c.out = kbin.AppendCompactNullableString(c.out, *v)
	}
}

func (c *coder) bytes(v *[]byte) {
	if c.reading {
		*v = append([]byte(nil), c.in.CompactBytes()...)
	} else {
		c.out = kbin.AppendCompactBytes(c.out, *v)
	}
}

// list is an array that is never null: empty reads as nil.
func list[T any](c *coder, v *[]T, item func(*coder, *T)) {
	if !c.reading {
		c.out = kbin.AppendCompactArrayLen(c.out, len(*v))
	} else if n := c.in.CompactArrayLen(); n > 0 {
		*v = make([]T, n)
	} else {
		*v = nil
	}
	for i := range *v {
		item(c, &(*v)[i])
	}
}

// nullableList is an array in which null and empty differ.
func nullableList[T any](c *coder, v *[]T, item func(*coder, *T)) {
	if !c.reading {
		c.out = kbin.AppendCompactNullableArrayLen(c.out, len(*v), *v == nil)
	} else if n := c.in.CompactArrayLen(); n >= 0 {
		*v = make([]T, n)
	} else {
		*v = nil
	}
	for i := range *v {
		item(c, &(*v)[i])
	}
}

// fail makes the reader report that the bytes do not suffice.
func (c *coder) fail() {
	c.in.Src = nil
	c.in.Span(1)
}

// tag is the tagged field number, written if it is set. Tags are visited in
// ascending order and ended by endTags.
func (c *coder) tag(number uint32, set bool, field func(*coder)) {
	if c.reading {
		if c.seekTag(number) {
			c.readTag(field)
		}
		return
	}
	c.beginTags()
	if set {
		c.out[c.countAt]++
		c.out = kbin.AppendUvarint(c.out, number)
		c.writeTag(field)
	}
}

// endTags ends a record or a struct in one.
func (c *coder) endTags() {
	c.beginTags()
	for c.reading && c.left > 0 && c.in.Ok() {
		c.skipTag()
	}
	c.begun = false
}

func (c *coder) beginTags() {
	if c.begun {
		return
	}
	c.begun = true
	if c.reading {
		c.left, c.next = c.in.Uvarint(), -1
	} else {
		c.countAt = len(c.out)
		c.out = append(c.out, 0)
	}
}

// seekTag skips to the tag of that number, which may not be there.
func (c *coder) seekTag(number uint32) bool {
	c.beginTags()
	for c.left > 0 && c.in.Ok() {
		if c.next < 0 {
			c.next = int64(c.in.Uvarint())
		}
		if c.next >= int64(number) {
			return c.next == int64(number)
		}
		c.skipTag()
	}
	return false
}

// readTag reads the field at hand within its own bytes.
func (c *coder) readTag(field func(*coder)) {
	c.left, c.next = c.left-1, -1
	size := c.in.Uvarint()
	if int64(size) > int64(len(c.in.Src)) {
		c.fail()
		return
	}
	rest := c.in.Src[size:]
	c.in.Src = c.in.Src[:size]
	field(c)
	if len(c.in.Src) > 0 {
		c.fail()
	}
	if c.in.Ok() {
		c.in.Src = rest
	}
}

func (c *coder) skipTag() {
	if c.next < 0 {
		c.in.Uvarint()
	}
	c.left, c.next = c.left-1, -1
	if size := c.in.Uvarint(); int64(size) <= int64(len(c.in.Src)) {
		c.in.Span(int(size))
	} else {
		c.fail()
	}
}

// writeTag writes the field and puts its size before it.
func (c *coder) writeTag(field func(*coder)) {
	start := len(c.out)
	field(c)
	size := uint32(len(c.out) - start)
	prefix := kbin.UvarintLen(size)
	for range prefix {
		c.out = append(c.out, 0)
	}
	copy(c.out[start+prefix:], c.out[start:])
	kbin.AppendUvarint(c.out[:start], size)
}
