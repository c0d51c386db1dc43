// Package list is a list whose links lie in what it lists, so that to enter and
// to leave it allocate nothing and take the same time wherever that is.
package list

// List is a list of Ts, in the order in which they were pushed. The zero value
// is an empty one.
type List[T any] struct {
	first, last *Item[T]
}

// Item is a T's membership in a list, and lies in the T. A T that can be in
// several lists at once has an Item for each.
//
// Invariant: prev and next are nil unless in is set.
type Item[T any] struct {
	of         *T
	in         *List[T]
	prev, next *Item[T]
}

// Init says of which T it is. It must be called before Push, once.
func (i *Item[T]) Init(of *T) { i.of = of }

// In is the list that the item is in, or nil.
func (i *Item[T]) In() *List[T] { return i.in }

// Next is the T that was pushed after this one, or nil.
func (i *Item[T]) Next() *T { return value(i.next) }

// Prev is the T that was pushed before this one, or nil.
func (i *Item[T]) Prev() *T { return value(i.prev) }

// Empty reports whether nothing is in l.
func (l *List[T]) Empty() bool { return l.first == nil }

// First is the T that was pushed first of those in l, or nil.
func (l *List[T]) First() *T { return value(l.first) }

// Last is the T that was pushed last of those in l, or nil.
func (l *List[T]) Last() *T { return value(l.last) }

func value[T any](i *Item[T]) *T {
	if i == nil {
		return nil
	}
	return i.of
}

// Push puts the item at the end of l. An item that is in a list already is a
// bug of the caller.
func (l *List[T]) Push(i *Item[T]) {
	if i.in != nil || i.of == nil {
		panic("list: push of an item that is in a list, or belongs to nothing")
	}
	i.in, i.prev = l, l.last
	if l.last == nil {
		l.first = i
	} else {
		l.last.next = i
	}
	l.last = i
}

// Remove takes the item out of its list. One that is in none is left alone.
func (i *Item[T]) Remove() {
	l := i.in
	if l == nil {
		return
	}
	if i.prev == nil {
		l.first = i.next
	} else {
		i.prev.next = i.next
	}
	if i.next == nil {
		l.last = i.prev
	} else {
		i.next.prev = i.prev
	}
	i.in, i.prev, i.next = nil, nil, nil
}
