package record

import "fmt"

// Codec compresses the records of a batch; the header stays as it is.
type Codec int8

// The codecs, by their number in a batch's attributes.
const (
	None Codec = iota
	Gzip
	Snappy
	LZ4
	Zstd
)

var codecNames = [...]string{"none", "gzip", "snappy", "lz4", "zstd"}

// String is the codec's name in compression.type.
func (c Codec) String() string {
	if !c.known() {
		return fmt.Sprintf("codec %d", int8(c))
	}
	return codecNames[c]
}

// Set parses a codec's name.
func (c *Codec) Set(name string) error {
	for i, n := range codecNames {
		if n == name {
			*c = Codec(i)
			return nil
		}
	}
	return fmt.Errorf("found %q, expected none, gzip, snappy, lz4 or zstd", name)
}

func (c Codec) known() bool { return c >= None && int(c) < len(codecNames) }
