package record

import (
	"bytes"
	"fmt"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// Level is how hard a codec tries, by Kafka's number for the codec: gzip has 1 to 9,
// lz4 1 to 17, zstd -131072 to 22. 0 is the codec's default in Kafka: -1, which zlib takes
// for 6, 9 and 3.
type Level int32

// Levels are how hard the codecs that have levels try.
type Levels struct{ Gzip, LZ4, Zstd Level }

// Of is the level of a codec; 0: it has none.
func (l Levels) Of(codec Codec) Level {
	switch codec {
	case Gzip:
		return l.Gzip
	case LZ4:
		return l.LZ4
	case Zstd:
		return l.Zstd
	}
	return 0
}

// DefaultLevel is that of the codec; 0 of one that has no levels.
func (c Codec) DefaultLevel() Level {
	switch c {
	case Gzip:
		return gzip.DefaultCompression
	case LZ4:
		return 9
	case Zstd:
		return 3
	}
	return 0
}

// compressor keeps the codecs' tables from one batch to the next. Its settings
// are those of the Java producer where that can be said: xerial frames of snappy, lz4
// frames of independent 64 KiB blocks. The zstd window is small since batches are;
// concurrency 1 keeps it from starting goroutines.
type compressor struct {
	level  Level // that the writers below were made for
	gzip   *gzip.Writer
	lz4    *lz4.Writer
	zstd   *zstd.Encoder
	snappy *snappyTable
}

// compress appends src, compressed, to dst.
func (c *compressor) compress(codec Codec, level Level, dst, src []byte) []byte {
	if level == 0 {
		level = codec.DefaultLevel()
	}
	if level != c.level {
		*c = compressor{level: level, snappy: c.snappy}
	}
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
		var err error
		c.gzip, err = gzip.NewWriterLevel(out, int(c.level))
		must(0, err)
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
		must(0, c.lz4.Apply(lz4.BlockSizeOption(lz4.Block64Kb), lz4.ChecksumOption(false), lz4.CompressionLevelOption(lz4Depth(c.level))))
	} else {
		c.lz4.Reset(out)
	}
	must(c.lz4.Write(src))
	must(0, c.lz4.Close())
	return out.Bytes()
}

// lz4Depth is the level of this library for one of Kafka's. At 9, its default, Kafka
// takes lz4's fast compressor, at all others the one that searches, level by level twice
// as far (KIP-390). This library begins that search where level 10 has it.
func lz4Depth(level Level) lz4.CompressionLevel {
	const first = 9
	if level == first {
		return lz4.Fast
	}
	return lz4.Level1 << min(max(0, level-first-1), 8)
}

func (c *compressor) compressZstd(dst, src []byte) []byte {
	if c.zstd == nil {
		var err error
		c.zstd, err = zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.EncoderLevelFromZstd(int(c.level))),
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
