package bench

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// variety is how many different values a producer sends in turn. Batches hold more
// records than that rarely, so that codecs do not find whole records again.
const variety = 256

// words are what text is made of: common English words, so that codecs find what they
// find in texts.
var words = strings.Fields(`the of and to in is you that it was for on are as with they at be this have from or one
had by word but not what all were we when your can said there use an each which do how their if will up other about out
many then them these so some her would make like into time has look two more write go see number no way could people my
than first water been call oil its now find long down day did get come may part over new sound take only little
work know year live me back give most very after thing our just name good sentence man think say great where help
through much before line right too mean old any same tell boy follow came want show also around form three small set put`)

// payload makes values of a kind.
func payload(kind Payload, size int, luck *rand.Rand) [][]byte {
	if kind == Zeros {
		return [][]byte{make([]byte, size)}
	}
	return values(kind, size, variety, luck)
}

// Sample is n values as a producer sends them, but for the time at their start.
func Sample(kind Payload, size, n int, seed uint64) [][]byte {
	return values(kind, size, n, rand.New(rand.NewPCG(seed, 0)))
}

func values(kind Payload, size, n int, luck *rand.Rand) [][]byte {
	out := make([][]byte, n)
	for i := range out {
		out[i] = make([]byte, size)
		fill(out[i], kind, luck)
	}
	return out
}

func fill(p []byte, kind Payload, luck *rand.Rand) {
	switch kind {
	case Random:
		for i := range p {
			p[i] = byte(luck.Uint32())
		}
	case Text:
		for n := stampBytes; n < len(p); {
			n += copy(p[n:], words[luck.IntN(len(words))]+" ")
		}
	case JSON:
		for n := stampBytes; n < len(p); {
			n += copy(p[n:], logLine(luck))
		}
	}
}

// logLine is an entry of a web server's log.
func logLine(luck *rand.Rand) string {
	word := func() string { return words[luck.IntN(len(words))] }
	return fmt.Sprintf(`{"ts":%d,"ip":"10.%d.%d.%d","method":"GET","path":"/%s/%s?id=%d","status":%d,"bytes":%d,"agent":"Mozilla/5.0 (X11; Linux x86_64)","ms":%d.%03d},`,
		1767225600000+luck.Int64N(86_400_000), luck.IntN(256), luck.IntN(256), luck.IntN(256), word(), word(), luck.IntN(1_000_000),
		[]int{200, 200, 200, 200, 304, 404, 500}[luck.IntN(7)], luck.IntN(100_000), luck.IntN(300), luck.IntN(1000))
}
