package page

import (
	"encoding"
	"fmt"
	"reflect"
	"strings"
)

// inColumns are the fields that the page reads of the frequent kinds, by the names
// that the trace has for them. An event that lacks one, such as that of another
// module which has taken the name, is packed as any rare one.
var inColumns = map[string][]string{
	"appended":             {"node", "partition", "from", "end", "epoch"},
	"high-watermark-moved": {"node", "partition", "to"},
	"operation-invoked":    {"op", "process", "client", "f", "sends"},
	"operation-completed":  {"op", "process", "client", "f", "outcome", "error", "sends", "polled", "marks"},
	"request-sent":         {"client_addr", "server_addr", "correlation_id"},
	"request-arrived":      {"client_addr", "server_addr", "correlation_id"},
	"answer-sent":          {"client_addr", "server_addr", "correlation_id"},
	"answer-arrived":       {"client_addr", "server_addr", "correlation_id"},
	"request-abandoned":    {"client_addr", "server_addr", "correlation_id"},
}

// fields finds the fields of a type by their names in JSON. The page knows events by
// their trace only, and so no package that declares them; reading a field this way is
// ten times as fast as writing the whole event as JSON.
type fields struct {
	paths map[string][]int
	texts map[any]string // of values that are written as text
}

func fieldsOf(e any, names []string) *fields {
	if len(names) == 0 {
		return nil
	}
	t := reflect.TypeOf(e)
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return nil
	}
	f := &fields{paths: map[string][]int{}, texts: map[any]string{}}
	for _, field := range reflect.VisibleFields(t) {
		//text:allow a tag of the source
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if _, known := f.paths[name]; name != "" && !known {
			f.paths[name] = field.Index
		}
	}
	for _, name := range names {
		if f.paths[name] == nil {
			return nil
		}
	}
	return f
}

// of is the struct of an event.
func (f *fields) of(e any) reflect.Value { return reflect.Indirect(reflect.ValueOf(e)) }

func (f *fields) field(v reflect.Value, name string) reflect.Value {
	out, err := v.FieldByIndexErr(f.paths[name])
	if err != nil {
		return reflect.Value{} // of an embedded struct that is not there
	}
	return out
}

func (f *fields) int(v reflect.Value, name string) int64 {
	field := f.field(v, name)
	if !field.IsValid() {
		return 0
	}
	return field.Int()
}

// text is a field that is a text, or is written as one.
func (f *fields) text(v reflect.Value, name string) string {
	field := f.field(v, name)
	switch {
	case !field.IsValid():
		return ""
	case field.Kind() == reflect.String:
		return field.String()
	}
	value := field.Interface()
	if text, known := f.texts[value]; known {
		return text
	}
	text := fmt.Sprint(value)
	if m, ok := value.(encoding.TextMarshaler); ok {
		if b, err := m.MarshalText(); err == nil {
			text = string(b)
		}
	}
	f.texts[value] = text
	return text
}

// list are the elements of a field that is a list. It stays as it is when the event's
// memory is used for another.
func (f *fields) list(v reflect.Value, name string) reflect.Value {
	field := f.field(v, name)
	if !field.IsValid() || field.Len() == 0 {
		return reflect.Value{}
	}
	return field.Slice(0, field.Len())
}
