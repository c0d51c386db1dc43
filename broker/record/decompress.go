package record

import (
	"bytes"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// MaxDecompressed bounds what the records of one batch may take decompressed.
const MaxDecompressed = 64 << 20

// Decoder reads batches and keeps buffers and tables from one to the next. The
// zero value is ready. What it gave out is valid until its next use, so two
// tasks must not share one across a call that blocks.
type Decoder struct {
	buf  []byte
	gzip *gzip.Reader
	lz4  *lz4.Reader
	zstd *zstd.Decoder

	frame frame // the record that is being looked at
}

// records is b's records, decompressed.
func (d *Decoder) records(b Batch) ([]byte, error) {
	if b.Codec() == None {
		return b[HeaderSize:], nil
	}
	out, err := d.decompress(b.Codec(), b[HeaderSize:], MaxDecompressed)
	if err != nil {
		return nil, corrupt("records at offset %d: %v", b.BaseOffset(), err)
	}
	d.buf = out
	return out, nil
}

func (d *Decoder) decompress(codec Codec, src []byte, limit int) ([]byte, error) {
	dst := d.buf[:0]
	switch codec {
	case Gzip:
		if d.gzip == nil {
			d.gzip = new(gzip.Reader)
		}
		if err := d.gzip.Reset(bytes.NewReader(src)); err != nil {
			return nil, err
		}
		return readAll(dst, d.gzip, limit)
	case Snappy:
		return decodeSnappy(dst, src, limit)
	case LZ4:
		if d.lz4 == nil {
			d.lz4 = lz4.NewReader(nil)
		}
		d.lz4.Reset(bytes.NewReader(src))
		return readAll(dst, d.lz4, limit)
	case Zstd:
		if d.zstd == nil {
			var err error
			d.zstd, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1),
				zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxMemory(uint64(limit)))
			must(0, err)
		}
		return d.zstd.DecodeAll(src, dst)
	}
	return nil, fmt.Errorf("%v, expected a known one", codec)
}

// readAll is io.ReadAll with a limit, into dst.
func readAll(dst []byte, r io.Reader, limit int) ([]byte, error) {
	for {
		if len(dst) == cap(dst) {
			dst = append(dst, 0)[:len(dst)]
		}
		n, err := r.Read(dst[len(dst):cap(dst)])
		dst = dst[:len(dst)+n]
		switch {
		case len(dst) > limit:
			return nil, errTooLarge(limit)
		case err == io.EOF:
			return dst, nil
		case err != nil:
			return nil, err
		}
	}
}

func errTooLarge(limit int) error {
	return fmt.Errorf("more than %d bytes decompressed", limit)
}
