package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"
)

// The steps in which memory is taken for what arrives. A frame that says it is
// a hundred megabytes long gets them only as the bytes come in.
const (
	firstBuffer = 512
	firstStep   = 64 << 10
	keptStep    = 256 << 10
	blockBytes  = 4 << 10
)

// frames cuts a stream into frames: a size of four bytes, then as many bytes.
type frames struct {
	src io.Reader
	max int32
	// buf[r:w] has been read from src and not yet handed out.
	buf  []byte
	r, w int
	// block is what is left of the memory of small frames that are kept.
	block []byte
}

// next returns the next frame without its size. It blocks. With keep the frame
// is the caller's for good; else it is valid until the following call. The
// frame's key decides (decoded byte slices point into it), and it may not be
// known before the frame is there: so keep is asked with its first bytes.
//
// At the end of the stream between two frames the error is io.EOF.
func (f *frames) next(keep func(head []byte) bool) ([]byte, error) {
	if err := f.fill(4); err != nil {
		return nil, err
	}
	size := int32(binary.BigEndian.Uint32(f.buf[f.r:]))
	if size < 0 || size > f.max {
		return nil, fmt.Errorf("frame: %w: size %d, expected 0 to %d", ErrMalformed, size, f.max)
	}
	n := int(size)
	if err := f.fill(4 + min(n, 4)); err != nil {
		return nil, unexpected(err)
	}
	if keep(f.buf[f.r+4 : f.r+4+min(n, 4)]) {
		f.r += 4
		return f.copyOut(n)
	}
	if err := f.fill(4 + n); err != nil {
		return nil, unexpected(err)
	}
	frame := f.buf[f.r+4 : f.r+4+n : f.r+4+n]
	f.r += 4 + n
	return frame, nil
}

// copyOut reads n bytes into memory of their own.
func (f *frames) copyOut(n int) ([]byte, error) {
	have := min(n, f.w-f.r)
	out := f.own(max(have, min(n, keptStep)))[:have]
	copy(out, f.buf[f.r:])
	f.r += have
	for len(out) < n {
		if len(out) == cap(out) {
			grown := make([]byte, len(out), min(n, 4*cap(out)))
			copy(grown, out)
			out = grown
		}
		got, err := f.src.Read(out[len(out):min(n, cap(out))])
		out = out[:len(out)+got]
		if err != nil && len(out) < n {
			return nil, unexpected(err)
		}
	}
	return out[:n:n], nil
}

// own is n bytes of memory, for small frames out of a block.
func (f *frames) own(n int) []byte {
	if n > blockBytes/8 {
		return make([]byte, n)
	}
	if len(f.block) < n {
		f.block = make([]byte, blockBytes)
	}
	out := f.block[:n:n]
	f.block = f.block[n:]
	return out
}

// fill blocks until n bytes are in the buffer.
func (f *frames) fill(n int) error {
	if f.w-f.r >= n {
		return nil
	}
	if f.r == f.w {
		f.r, f.w = 0, 0
	}
	for f.w-f.r < n {
		if f.w == len(f.buf) {
			f.room(n)
		}
		got, err := f.src.Read(f.buf[f.w:])
		f.w += got
		if err != nil && f.w-f.r < n {
			if err == io.EOF && f.w > f.r {
				return io.ErrUnexpectedEOF
			}
			return err
		}
	}
	return nil
}

// room makes space to read more of the n bytes that are wanted at r: it moves
// what is there to the front or, if it is there, grows the buffer in
// proportion to what has really come, to a power of two.
func (f *frames) room(n int) {
	held := f.buf[f.r:f.w]
	if f.r == 0 {
		f.buf = make([]byte, 1<<bits.Len(uint(max(firstBuffer, min(n, max(firstStep, 4*len(held))))-1)))
	}
	f.w = copy(f.buf, held)
	f.r = 0
}

// shrink gives a buffer back that one large frame has blown up.
func (f *frames) shrink() {
	if len(f.buf) > 4*firstStep && f.r == f.w {
		f.buf, f.r, f.w = nil, 0, 0
	}
}

func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
