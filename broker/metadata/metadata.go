// Package metadata is what the KRaft log says about the cluster: its records,
// with Kafka's own encoding, and the Image, the state that they add up to.
//
// The image is a fold: Apply is the only writer, so a controller, a broker and
// a snapshot that have seen the same records hold the same state.
package metadata

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kbin"
)

// frameVersion is the version of the frame around a record: frame version, API
// key, record version, each an unsigned varint, then the fields.
const frameVersion = 1

// Record is one metadata record. The types that implement it are in records.go,
// all as pointers. One that an image has applied must not be changed, nor its
// lists: the image has them.
type Record interface {
	// APIKey is the number of the record's type.
	APIKey() int16

	// fields visits the fields in the order of the wire, to read or to write.
	fields(c *coder)
}

// Encode is rec as the value of a record of the metadata log.
func Encode(rec Record) []byte { return AppendTo(nil, rec) }

// AppendTo appends rec as Encode gives it, in the newest version.
func AppendTo(dst []byte, rec Record) []byte {
	return AppendVersion(dst, rec, MaxVersion(rec.APIKey()))
}

// AppendVersion appends rec in an older version. What that version has no
// field for is left out.
func AppendVersion(dst []byte, rec Record, version int16) []byte {
	dst = kbin.AppendUvarint(dst, frameVersion)
	dst = kbin.AppendUvarint(dst, uint32(rec.APIKey()))
	dst = kbin.AppendUvarint(dst, uint32(version))
	c := coder{out: dst, version: version}
	rec.fields(&c)
	return c.out
}

// Decode reads what Encode wrote, in any version. The record keeps no hold on b.
func Decode(b []byte) (Record, error) {
	c := coder{reading: true, in: kbin.Reader{Src: b}}
	if frame := c.in.Uvarint(); c.in.Ok() && frame != frameVersion {
		return nil, fmt.Errorf("metadata: decode a record: frame version %d found, %d expected", frame, frameVersion)
	}
	key, version := c.in.Uvarint(), c.in.Uvarint()
	if !c.in.Ok() {
		return nil, fmt.Errorf("metadata: decode a record: %d bytes are no frame", len(b))
	}
	if key >= uint32(len(kinds)) || kinds[key].make == nil {
		return nil, fmt.Errorf("metadata: decode a record: api key %d is unknown", key)
	}
	kind := kinds[key]
	if version > uint32(kind.maxVersion) {
		return nil, fmt.Errorf("metadata: decode a record of api key %d: version %d found, at most %d expected",
			key, version, kind.maxVersion)
	}
	c.version = int16(version)
	rec := kind.make()
	rec.fields(&c)
	if err := c.in.Complete(); err != nil {
		return nil, fmt.Errorf("metadata: decode %T v%d of %d bytes: %w", rec, version, len(b), err)
	}
	if extra := len(c.in.Src); extra > 0 {
		return nil, fmt.Errorf("metadata: decode %T v%d of %d bytes: %d bytes too many", rec, version, len(b), extra)
	}
	return rec, nil
}

// MaxVersion is the newest version of the record type key.
func MaxVersion(key int16) int16 { return kinds[key].maxVersion }
