package list_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"pgregory.net/rapid"

	"github.com/ktrial/ktrial/internal/list"
)

type thing struct {
	id   int
	item list.Item[thing]
}

func newThing(id int) *thing {
	x := &thing{id: id}
	x.item.Init(x)
	return x
}

func forward(l *list.List[thing]) (ids []int) {
	for x := l.First(); x != nil; x = x.item.Next() {
		ids = append(ids, x.id)
	}
	return ids
}

func backward(l *list.List[thing]) (ids []int) {
	for x := l.Last(); x != nil; x = x.item.Prev() {
		ids = append(ids, x.id)
	}
	slices.Reverse(ids)
	return ids
}

// Two lists against two slices: things move between them in any order.
func TestListIsLikeASlice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var lists [2]list.List[thing]
		var model [2][]int
		things := make([]*thing, 6)
		for i := range things {
			things[i] = newThing(i)
		}
		where := func(id int) int {
			return slices.IndexFunc(model[:], func(ids []int) bool { return slices.Contains(ids, id) })
		}
		for range rapid.IntRange(0, 60).Draw(t, "steps") {
			id := rapid.IntRange(0, len(things)-1).Draw(t, "thing")
			x, at := things[id], where(id)
			if at < 0 {
				to := rapid.IntRange(0, 1).Draw(t, "list")
				lists[to].Push(&x.item)
				model[to] = append(model[to], id)
			} else {
				x.item.Remove()
				model[at] = slices.DeleteFunc(model[at], func(other int) bool { return other == id })
			}
			for i := range lists {
				l := &lists[i]
				assert.True(t, slices.Equal(model[i], forward(l)), "%v, expected %v", forward(l), model[i])
				assert.Equal(t, forward(l), backward(l))
				assert.Equal(t, len(model[i]) == 0, l.Empty())
			}
			if at := where(id); at < 0 {
				assert.Nil(t, x.item.In())
			} else {
				assert.Same(t, &lists[at], x.item.In())
			}
		}
	})
}

func TestRemoveTwiceDoesNothing(t *testing.T) {
	var l list.List[thing]
	a, b := newThing(1), newThing(2)
	l.Push(&a.item)
	l.Push(&b.item)
	a.item.Remove()
	a.item.Remove()
	assert.Equal(t, []int{2}, forward(&l))
}

func TestPushOfWhatIsInAListPanics(t *testing.T) {
	var l, other list.List[thing]
	a := newThing(1)
	l.Push(&a.item)
	assert.Panics(t, func() { other.Push(&a.item) })
	assert.Panics(t, func() { other.Push(new(list.Item[thing])) })
}
