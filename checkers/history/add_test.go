package history

import (
	"reflect"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
)

// Add sets the fields of an event one by one: none of them may keep what the event before had.
func TestAdd_KeepsNothingOfTheEventBefore(t *testing.T) {
	field := func(h *History, i int) reflect.Value {
		f := reflect.ValueOf(&h.raw).Elem().Field(i)
		return reflect.NewAt(f.Type(), unsafe.Pointer(f.UnsafeAddr())).Elem()
	}
	nothing := &Event{Process: NoProcess, F: Fault}
	clean := New()
	clean.Add(nothing)
	for i := range reflect.TypeFor[raw]().NumField() {
		h := New()
		f := field(h, i)
		fill(f)
		h.Add(nothing)
		name := reflect.TypeFor[raw]().Field(i).Name
		if f.Kind() == reflect.Slice {
			assert.Zero(t, f.Len(), name)
			continue
		}
		assert.Equal(t, field(clean, i).Interface(), f.Interface(), name)
	}
}

// fill gives a field a value that no event without one has.
func fill(f reflect.Value) {
	switch f.Kind() {
	case reflect.String:
		f.SetString("before")
	case reflect.Bool:
		f.SetBool(!f.Bool())
	case reflect.Slice:
		f.Set(reflect.MakeSlice(f.Type(), 1, 1))
	case reflect.Struct:
		fill(f.Field(0))
	default:
		f.Set(reflect.ValueOf(77).Convert(f.Type()))
	}
}
