package group

import (
	"github.com/twmb/franz-go/pkg/kbin"

	"github.com/ktrial/ktrial/broker/kafka"
)

// coder reads or writes the fields of a key or a value in their order. Both
// directions follow the same list of fields, so they cannot disagree. Unlike the
// coder of metadata records it knows the older, not flexible encoding too, and
// structs within tagged fields.
type coder struct {
	reading  bool
	version  int16
	flexible bool // compact lengths, and tagged fields at the end of each struct

	in  kbin.Reader
	out []byte
}

func (c *coder) int8(v *int8) {
	if c.reading {
		*v = c.in.Int8()
	} else {
		c.out = kbin.AppendInt8(c.out, *v)
	}
}

func (c *coder) int32(v *int32) {
	if c.reading {
		*v = c.in.Int32()
	} else {
		c.out = kbin.AppendInt32(c.out, *v)
	}
}

func (c *coder) int64(v *int64) {
	if c.reading {
		*v = c.in.Int64()
	} else {
		c.out = kbin.AppendInt64(c.out, *v)
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
	switch {
	case c.reading && c.flexible:
		*v = c.in.CompactString()
	case c.reading:
		*v = c.in.String()
	case c.flexible:
		c.out = kbin.AppendCompactString(c.out, *v)
	default:
		c.out = kbin.AppendString(c.out, *v)
	}
}

func (c *coder) nullableString(v **string) {
	switch {
	case c.reading && c.flexible:
		*v = c.in.CompactNullableString()
	case c.reading:
		*v = c.in.NullableString()
	case c.flexible:
		c.out = kbin.AppendCompactNullableString(c.out, *v)
	default:
		c.out = kbin.AppendNullableString(c.out, *v)
	}
}

// bytes are never null: empty ones read as nil.
func (c *coder) bytes(v *[]byte) {
	switch {
	case c.reading && c.flexible:
		*v = append([]byte(nil), c.in.CompactBytes()...)
	case c.reading:
		*v = append([]byte(nil), c.in.Bytes()...)
	case c.flexible:
		c.out = kbin.AppendCompactBytes(c.out, *v)
	default:
		c.out = kbin.AppendBytes(c.out, *v)
	}
}

// array is an array of structs or values; one that is empty, or null, reads as nil.
func array[T any](c *coder, v *[]T, item func(*coder, *T)) {
	if !c.reading {
		if c.flexible {
			c.out = kbin.AppendCompactArrayLen(c.out, len(*v))
		} else {
			c.out = kbin.AppendArrayLen(c.out, len(*v))
		}
		for i := range *v {
			item(c, &(*v)[i])
		}
		return
	}
	n := c.in.ArrayLen
	if c.flexible {
		n = c.in.CompactArrayLen
	}
	// The list grows as its items are read: a count that lies costs what the bytes
	// hold, not what it claims.
	*v = nil
	for left := n(); left > 0 && c.in.Ok(); left-- {
		var zero T
		*v = append(*v, zero)
		item(c, &(*v)[len(*v)-1])
	}
}

// tagged is one tagged field of a struct.
type tagged struct {
	number uint32
	set    bool // to be written
	field  func(*coder)
}

// tags are the tagged fields that end a struct, in ascending order. Those that
// are read and not listed are skipped. Where the encoding is not flexible there
// are none.
func (c *coder) tags(fields ...tagged) {
	switch {
	case !c.flexible:
	case c.reading:
		c.readTags(fields)
	default:
		c.writeTags(fields)
	}
}

func (c *coder) readTags(fields []tagged) {
	for left := c.in.Uvarint(); left > 0 && c.in.Ok(); left-- {
		number, size := c.in.Uvarint(), c.in.Uvarint()
		if int64(size) > int64(len(c.in.Src)) {
			c.fail()
			return
		}
		within := coder{reading: true, version: c.version, flexible: true, in: kbin.Reader{Src: c.in.Span(int(size))}}
		for _, f := range fields {
			if f.number != number {
				continue
			}
			f.field(&within)
			if within.in.Complete() != nil || len(within.in.Src) > 0 {
				c.fail()
				return
			}
		}
	}
}

func (c *coder) writeTags(fields []tagged) {
	count := uint32(0)
	for _, f := range fields {
		if f.set {
			count++
		}
	}
	c.out = kbin.AppendUvarint(c.out, count)
	for _, f := range fields {
		if f.set {
			within := coder{version: c.version, flexible: true}
			f.field(&within)
			c.out = kbin.AppendUvarint(c.out, f.number)
			c.out = kbin.AppendUvarint(c.out, uint32(len(within.out)))
			c.out = append(c.out, within.out...)
		}
	}
}

// fail makes the reader report that the bytes do not suffice.
func (c *coder) fail() {
	c.in.Src = nil
	c.in.Span(1)
}

func int32Item(c *coder, v *int32)   { c.int32(v) }
func stringItem(c *coder, v *string) { c.string(v) }
