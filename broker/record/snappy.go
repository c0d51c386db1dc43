package record

import (
	"encoding/binary"
	"fmt"

	"github.com/klauspost/compress/s2"
)

// The Java producer frames snappy in xerial's way: a header, then blocks of at
// most 32 KiB, each with its compressed length before it. Other clients send
// one bare block. Both must be read.
const (
	xerialMagic     = "\x82SNAPPY\x00"
	xerialHeader    = xerialMagic + "\x00\x00\x00\x01\x00\x00\x00\x01" // version, oldest compatible version
	xerialBlockSize = 32 << 10
)

// snappyTable finds matches by the hash of four bytes; an entry is 1 + a
// position in the block, 0 when there is none.
//
// The encoder is our own because those of the libraries pick other matches in
// assembly than in Go, so the same records would become other bytes on another
// kind of CPU.
type snappyTable [1 << 14]uint16

func (t *snappyTable) appendXerial(dst, src []byte) []byte {
	dst = append(dst, xerialHeader...)
	for len(src) > 0 {
		block := src[:min(len(src), xerialBlockSize)]
		src = src[len(block):]
		at := len(dst)
		dst = t.appendBlock(append(dst, 0, 0, 0, 0), block)
		binary.BigEndian.PutUint32(dst[at:], uint32(len(dst)-at-4))
	}
	return dst
}

// appendBlock encodes one block of at most xerialBlockSize bytes: greedy
// matching that takes longer steps the longer it finds nothing.
func (t *snappyTable) appendBlock(dst, src []byte) []byte {
	clear(t[:])
	dst = binary.AppendUvarint(dst, uint64(len(src)))
	literal := 0 // all before is encoded
	for i := 0; i+4 <= len(src); {
		word := binary.LittleEndian.Uint32(src[i:])
		slot := &t[(word*0x1e35a7bd)>>(32-14)]
		match := int(*slot) - 1
		*slot = uint16(i + 1)
		if match < 0 || binary.LittleEndian.Uint32(src[match:]) != word {
			i += 1 + (i-literal)>>5
			continue
		}
		dst = appendLiteral(dst, src[literal:i])
		length := 4
		for i+length < len(src) && src[match+length] == src[i+length] {
			length++
		}
		dst = appendCopy(dst, i-match, length)
		i += length
		literal = i
	}
	return appendLiteral(dst, src[literal:])
}

func appendLiteral(dst, lit []byte) []byte {
	n := len(lit) - 1
	switch {
	case n < 0:
		return dst
	case n < 60:
		dst = append(dst, byte(n)<<2)
	case n < 1<<8:
		dst = append(dst, 60<<2, byte(n))
	default:
		dst = append(dst, 61<<2, byte(n), byte(n>>8))
	}
	return append(dst, lit...)
}

func appendCopy(dst []byte, offset, length int) []byte {
	for length > 0 {
		n := min(length, 64)
		dst = append(dst, 2|byte(n-1)<<2, byte(offset), byte(offset>>8))
		length -= n
	}
	return dst
}

// decodeSnappy decodes either framing, at most limit bytes.
func decodeSnappy(dst, src []byte, limit int) ([]byte, error) {
	if len(src) < len(xerialHeader) || string(src[:len(xerialMagic)]) != xerialMagic {
		return decodeSnappyBlock(dst, src, limit)
	}
	for src = src[len(xerialHeader):]; len(src) > 0; {
		if len(src) < 4 {
			return nil, fmt.Errorf("snappy: %d bytes where a block's length was expected", len(src))
		}
		n := binary.BigEndian.Uint32(src)
		if int64(n) > int64(len(src)-4) {
			return nil, fmt.Errorf("snappy: block of %d bytes, %d are left", n, len(src)-4)
		}
		var err error
		if dst, err = decodeSnappyBlock(dst, src[4:4+n], limit); err != nil {
			return nil, err
		}
		src = src[4+n:]
	}
	return dst, nil
}

func decodeSnappyBlock(dst, block []byte, limit int) ([]byte, error) {
	n, err := s2.DecodedLen(block)
	if err != nil {
		return nil, err
	}
	if n > limit-len(dst) {
		return nil, errTooLarge(limit)
	}
	have := len(dst)
	dst = append(dst, make([]byte, n)...)
	if _, err := s2.Decode(dst[have:], block); err != nil {
		return nil, err
	}
	return dst, nil
}
