package slab_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/ktrial/ktrial/internal/slab"
)

func TestSlab_EachValueIsItsOwn(t *testing.T) {
	var s slab.Slab[int]
	var all []*int
	for i := range 1000 {
		all = append(all, s.Put(i))
	}
	for i, p := range all {
		assert.Equal(t, i, *p)
	}
}

func TestSlab_TakesMemoryInPieces(t *testing.T) {
	var s slab.Slab[[4]int]
	assert.LessOrEqual(t, testing.AllocsPerRun(100, func() {
		for range 64 {
			s.Put([4]int{1})
		}
	}), 1.0)
}
