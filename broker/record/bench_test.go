package record

import (
	"fmt"
	"testing"
)

// kilobyte is a batch of about 1 KiB, 8 records.
func kilobyte(codec Codec) Batch {
	b := NewBuilder(Options{Codec: codec})
	fill(b)
	return b.Build()
}

func fill(b *Builder) {
	for i := range 8 {
		b.Append(1_700_000_000_000, fmt.Appendf(nil, "key-%d", i), value[:110])
	}
}

var value = []byte(`{"user":"u0001","item":17,"note":"the quick brown fox jumps over the lazy dog, twice a day and once at night"}       `)

func BenchmarkCheck(b *testing.B) {
	batch := kilobyte(None)
	b.ReportAllocs()
	b.SetBytes(int64(len(batch)))
	for b.Loop() {
		if err := batch.Check(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSummarize(b *testing.B) {
	for _, codec := range codecs {
		b.Run(codec.String(), func(b *testing.B) {
			batch := kilobyte(codec)
			var d Decoder
			b.ReportAllocs()
			for b.Loop() {
				if _, err := d.Summarize(batch); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkBuild(b *testing.B) {
	for _, codec := range codecs {
		b.Run(codec.String(), func(b *testing.B) {
			builder := NewBuilder(Options{})
			key := []byte("key-0")
			b.ReportAllocs()
			for b.Loop() {
				builder.Reset(Options{Codec: codec})
				for range 8 {
					builder.Append(1_700_000_000_000, key, value[:110])
				}
				builder.Build()
			}
		})
	}
}
