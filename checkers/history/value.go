package history

import (
	"strconv"
	"strings"

	"github.com/ktrial/ktrial/ledger"
)

// A Value names a partition or is what a record carries: an integer or a text.
// The zero Value is the integer 0. Values compare with ==.
//
// A text keeps its kind in its first byte, so that what was read is written
// back as it was: ':' a keyword, '"' a string, anything else a bare symbol.
type Value struct {
	text string
	num  int64
}

// Int is the integer n as a value.
func Int(n int64) Value { return Value{num: n} }

// Text is the string s as a value.
func Text(s string) Value { return Value{text: `"` + s} }

// TextOf is Text(string(s)), in one step.
func TextOf(s []byte) Value {
	var text strings.Builder
	text.Grow(1 + len(s))
	text.WriteByte('"')
	text.Write(s)
	return Value{text: text.String()}
}

// Keyword is the Clojure keyword :s as a value. s is without its colon.
func Keyword(s string) Value { return Value{text: ":" + s} }

// Partition names partition p of a topic as a key: "orders/0".
func Partition(topic string, p int32) Value {
	return Text(topic + "/" + strconv.Itoa(int(p)))
}

// Pack is for events that hold values (ledger.Packed).
func (v *Value) Pack(p *ledger.Pack) {
	ledger.Text(p, &v.text)
	ledger.Int(p, &v.num)
}

// IsInt reports whether v is an integer, and which.
func (v Value) IsInt() (int64, bool) { return v.num, v.text == "" }

// String is the value as a person would write it: 17, :x, p0-17.
func (v Value) String() string {
	switch {
	case v.text == "":
		return strconv.FormatInt(v.num, 10)
	case v.text == numberedText:
		return code(v.num).text(Value{text: `"?`}).text[1:]
	case v.text[0] == '"':
		return v.text[1:]
	}
	return v.text
}

// nullText is what a null value is kept as.
const nullText = "nil"

// Null is the value of a record that has none: a tombstone.
func Null() Value { return Value{text: nullText} }

// IsNull reports whether v is the value of a record that has none.
func (v Value) IsNull() bool { return v.text == nullText }
