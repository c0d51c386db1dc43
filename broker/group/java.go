package group

import (
	"cmp"
	"encoding/hex"
	"slices"

	"github.com/ktrial/ktrial/broker/kafka"
)

// utf16Len is the length of a Java string.
func utf16Len(s string) (n int) {
	for _, r := range s {
		n++
		if r > 0xffff {
			n++
		}
	}
	return n
}

// hashMapOrder is the keys of m in the order in which a Java HashMap with few
// entries has them: by bucket. Keys of one bucket are in the order of names here, and
// in that of insertion there.
func hashMapOrder(m map[string]int) []string {
	buckets := 16
	for len(m)*4 > buckets*3 {
		buckets *= 2
	}
	bucket := func(s string) uint32 {
		h := uint32(kafka.JavaHash(s))
		return (h ^ h>>16) & uint32(buckets-1)
	}
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, func(a, b string) int { return cmp.Or(cmp.Compare(bucket(a), bucket(b)), cmp.Compare(a, b)) })
	return keys
}

// javaUUID is UUID.toString, which member ids end with.
func javaUUID(u kafka.UUID) string {
	h := hex.EncodeToString(u[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
