package group

import (
	"encoding/binary"
	"math/bits"
)

// xxh3 is XXH3-64 without a seed, as its specification has it
// (github.com/Cyan4973/xxHash). Hashes are few and short here: no vectors are used.
func xxh3(b []byte) uint64 {
	n := uint64(len(b))
	switch {
	case n == 0:
		return xxhAvalanche(secret64(56) ^ secret64(64))
	case n <= 3:
		combined := uint32(b[0])<<16 | uint32(b[n>>1])<<24 | uint32(b[n-1]) | uint32(n)<<8
		return xxhAvalanche(uint64(combined) ^ uint64(secret32(0)^secret32(4)))
	case n <= 8:
		first, last := le32(b), le32(b[n-4:])
		x := (uint64(last) + uint64(first)<<32) ^ (secret64(8) ^ secret64(16))
		x ^= bits.RotateLeft64(x, 49) ^ bits.RotateLeft64(x, 24)
		x *= 0x9fb21c651e98df25
		x ^= x>>35 + n
		x *= 0x9fb21c651e98df25
		return x ^ x>>28
	case n <= 16:
		low := le64(b) ^ (secret64(24) ^ secret64(32))
		high := le64(b[n-8:]) ^ (secret64(40) ^ secret64(48))
		return xxh3Avalanche(n + bits.ReverseBytes64(low) + high + fold(low, high))
	case n <= 128:
		return xxh3Middle(b)
	case n <= 240:
		return xxh3Upper(b)
	}
	return xxh3Long(b)
}

const (
	prime32a = 0x9E3779B1
	prime32b = 0x85EBCA77
	prime32c = 0xC2B2AE3D
	prime64a = 0x9E3779B185EBCA87
	prime64b = 0xC2B2AE3D27D4EB4F
	prime64c = 0x165667B19E3779F9
	prime64d = 0x85EBCA77C2B2AE63
	prime64e = 0x27D4EB2F165667C5
)

func xxh3Middle(b []byte) uint64 {
	n := len(b)
	acc := uint64(n) * prime64a
	for i := (n - 1) / 32; i >= 0; i-- {
		acc += mix16(b[16*i:], 32*i)
		acc += mix16(b[n-16*(i+1):], 32*i+16)
	}
	return xxh3Avalanche(acc)
}

func xxh3Upper(b []byte) uint64 {
	n := len(b)
	acc := uint64(n) * prime64a
	for i := range 8 {
		acc += mix16(b[16*i:], 16*i)
	}
	acc = xxh3Avalanche(acc)
	for i := 8; i < n/16; i++ {
		acc += mix16(b[16*i:], 16*(i-8)+3)
	}
	acc += mix16(b[n-16:], 136-17)
	return xxh3Avalanche(acc)
}

// xxh3Long takes stripes of 64 bytes, 16 to a block: each of them sees another part
// of the secret.
func xxh3Long(b []byte) uint64 {
	const stripe, block = 64, 16 * 64
	acc := [8]uint64{prime32c, prime64a, prime64b, prime64c, prime64d, prime32b, prime64e, prime32a}
	blocks := (len(b) - 1) / block
	for i := range blocks {
		for s := range 16 {
			accumulate(&acc, b[i*block+s*stripe:], 8*s)
		}
		scramble(&acc)
	}
	for s := range (len(b) - 1 - blocks*block) / stripe {
		accumulate(&acc, b[blocks*block+s*stripe:], 8*s)
	}
	accumulate(&acc, b[len(b)-stripe:], len(xxh3Secret)-stripe-7)
	sum := uint64(len(b)) * prime64a
	for i := range 4 {
		sum += fold(acc[2*i]^secret64(11+16*i), acc[2*i+1]^secret64(11+16*i+8))
	}
	return xxh3Avalanche(sum)
}

func accumulate(acc *[8]uint64, b []byte, secret int) {
	for i := range acc {
		value := le64(b[8*i:])
		key := value ^ secret64(secret+8*i)
		acc[i^1] += value
		acc[i] += uint64(uint32(key)) * (key >> 32)
	}
}

func scramble(acc *[8]uint64) {
	for i := range acc {
		acc[i] ^= acc[i] >> 47
		acc[i] ^= secret64(len(xxh3Secret) - 64 + 8*i)
		acc[i] *= prime32a
	}
}

func mix16(b []byte, secret int) uint64 {
	return fold(le64(b)^secret64(secret), le64(b[8:])^secret64(secret+8))
}

// fold is both halves of a product, combined.
func fold(a, b uint64) uint64 {
	high, low := bits.Mul64(a, b)
	return high ^ low
}

func xxh3Avalanche(h uint64) uint64 {
	h ^= h >> 37
	h *= 0x165667919E3779F9
	return h ^ h>>32
}

func xxhAvalanche(h uint64) uint64 {
	h ^= h >> 33
	h *= prime64b
	h ^= h >> 29
	h *= prime64c
	return h ^ h>>32
}

func le32(b []byte) uint32   { return binary.LittleEndian.Uint32(b) }
func le64(b []byte) uint64   { return binary.LittleEndian.Uint64(b) }
func secret32(at int) uint32 { return le32([]byte(xxh3Secret[at : at+4])) }
func secret64(at int) uint64 { return le64([]byte(xxh3Secret[at : at+8])) }

// xxh3Secret is the default secret of the specification.
const xxh3Secret = "\xb8\xfe\x6c\x39\x23\xa4\x4b\xbe\x7c\x01\x81\x2c\xf7\x21\xad\x1c\xde\xd4\x6d\xe9\x83\x90\x97\xdb\x72\x40\xa4\xa4\xb7\xb3\x67\x1f" +
	"\xcb\x79\xe6\x4e\xcc\xc0\xe5\x78\x82\x5a\xd0\x7d\xcc\xff\x72\x21\xb8\x08\x46\x74\xf7\x43\x24\x8e\xe0\x35\x90\xe6\x81\x3a\x26\x4c" +
	"\x3c\x28\x52\xbb\x91\xc3\x00\xcb\x88\xd0\x65\x8b\x1b\x53\x2e\xa3\x71\x64\x48\x97\xa2\x0d\xf9\x4e\x38\x19\xef\x46\xa9\xde\xac\xd8" +
	"\xa8\xfa\x76\x3f\xe3\x9c\x34\x3f\xf9\xdc\xbb\xc7\xc7\x0b\x4f\x1d\x8a\x51\xe0\x4b\xcd\xb4\x59\x31\xc8\x9f\x7e\xc9\xd9\x78\x73\x64" +
	"\xea\xc5\xac\x83\x34\xd3\xeb\xc3\xc5\x81\xa0\xff\xfa\x13\x63\xeb\x17\x0d\xdd\x51\xb7\xf0\xda\x49\xd3\x16\x55\x26\x29\xd4\x68\x9e" +
	"\x2b\x16\xbe\x58\x7d\x47\xa1\xfc\x8f\xf8\xb8\xd1\x7a\xd0\x31\xce\x45\xcb\x3a\x8f\x95\x16\x04\x28\xaf\xd7\xfb\xca\xbb\x4b\x40\x7e"
