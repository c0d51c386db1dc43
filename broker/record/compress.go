package record

import (
	"bytes"
	"fmt"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// compressor keeps the codecs' tables from one batch to the next. Its settings
// are those of the Java producer where that can be said: gzip at its default
// level, xerial frames of snappy, lz4 frames of independent 64 KiB blocks. The
// zstd window is small since batches are; concurrency 1 keeps it from starting
// goroutines.
type compressor struct {
	gzip   *gzip.Writer
	lz4    *lz4.Writer
	zstd   *zstd.Encoder
	snappy *snappyTable
}

// compress appends src, compressed, to dst.
func (c *compressor) compress(codec Codec, dst, src []byte) []byte {
	switch codec {
	case None:
		return append(dst, src...)
	case Gzip:
		return c.compressGzip(dst, src)
	case Snappy:
		if c.snappy == nil {
			c.snappy = new(snappyTable)
		}
		return c.snappy.appendXerial(dst, src)
	case LZ4:
		return c.compressLZ4(dst, src)
	case Zstd:
		return c.compressZstd(dst, src)
	}
	panic(fmt.Sprintf("record: compress with %v, expected a known codec", codec))
}

func (c *compressor) compressGzip(dst, src []byte) []byte {
	out := bytes.NewBuffer(dst)
	if c.gzip == nil {
		c.gzip = gzip.NewWriter(out)
	} else {
		c.gzip.Reset(out)
	}
	must(c.gzip.Write(src))
	must(0, c.gzip.Close())
	return out.Bytes()
}

func (c *compressor) compressLZ4(dst, src []byte) []byte {
	out := bytes.NewBuffer(dst)
	if c.lz4 == nil {
		c.lz4 = lz4.NewWriter(out)
		must(0, c.lz4.Apply(lz4.BlockSizeOption(lz4.Block64Kb), lz4.ChecksumOption(false)))
	} else {
		c.lz4.Reset(out)
	}
	must(c.lz4.Write(src))
	must(0, c.lz4.Close())
	return out.Bytes()
}

func (c *compressor) compressZstd(dst, src []byte) []byte {
	if c.zstd == nil {
		var err error
		c.zstd, err = zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1),
			zstd.WithWindowSize(64<<10), zstd.WithZeroFrames(true))
		must(0, err)
	}
	return c.zstd.EncodeAll(src, dst)
}

// must: writing to memory cannot fail.
func must(_ int, err error) {
	if err != nil {
		panic(fmt.Sprintf("record: compressing in memory: %v", err))
	}
}
