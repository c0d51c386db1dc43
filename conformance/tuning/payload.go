package main

import (
	"fmt"
	"os"

	"github.com/ktrial/ktrial/lab/bench"
)

// payload prints values of a kind, one after the other, for what measures codecs.
func payload(args []string) error {
	f := flags("payload")
	kind := f.String("kind", "json", "zeros, text, json or random")
	size := f.Int("size", 1024, "bytes of a value")
	n := f.Int("n", 256, "values")
	seed := f.Uint64("seed", 1, "of what they hold")
	f.Parse(args)
	if *size < 8 || *n < 1 {
		return fmt.Errorf("payload: found %d values of %d bytes, expected at least one of 8", *n, *size)
	}
	for _, v := range bench.Sample(bench.Payload(*kind), *size, *n, *seed) {
		if _, err := os.Stdout.Write(v); err != nil {
			return err
		}
	}
	return nil
}
