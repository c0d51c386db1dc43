package history

import "strconv"

// A value such as p1-0-17@orders/0, on the partition that it names, is kept by
// its numbers: producer 1, session 0, sequence 17. A history of millions of them
// then holds no texts. Callers see no difference: it is the same value, written
// the same.

const (
	numberedCode = code(1) << 63
	producerBits = 12
	sessionBits  = 14
	sequenceBits = 36
	// numberedText marks a Value that is kept by its numbers.
	numberedText = "\x01"
)

// ValueIn is the value of a record of a partition that carries this text.
func ValueIn(partition Value, text []byte) Value {
	if partition.text != "" {
		if c, ok := numbered(text, partition.text[1:]); ok {
			return Value{text: numberedText, num: int64(c)}
		}
	}
	return TextOf(text)
}

// numbered is the code of a text of that form; ok is false if it has another.
func numbered[T string | []byte](text T, partition string) (c code, ok bool) {
	if len(text) < len(partition)+7 || text[0] != 'p' {
		return 0, false
	}
	at := len(text) - len(partition) - 1
	if text[at] != '@' || string(text[at+1:]) != partition {
		return 0, false
	}
	rest := text[1:at]
	producer, rest, ok1 := digits(rest, producerBits, '-')
	session, rest, ok2 := digits(rest, sessionBits, '-')
	sequence, rest, ok3 := digits(rest, sequenceBits, 0)
	if !ok1 || !ok2 || !ok3 || len(rest) > 0 {
		return 0, false
	}
	return numberedCode | code(producer)<<(1+sequenceBits+sessionBits) | code(session)<<(1+sequenceBits) | code(sequence)<<1 | 1, true
}

// digits reads a number of at most so many bits, without leading zeros, and what
// ends it, if anything must.
func digits[T string | []byte](text T, bits int, end byte) (n uint64, rest T, ok bool) {
	i := 0
	for i < len(text) && text[i] >= '0' && text[i] <= '9' {
		if n = n*10 + uint64(text[i]-'0'); n>>bits != 0 {
			return 0, text, false
		}
		i++
	}
	if i == 0 || i > 1 && text[0] == '0' {
		return 0, text, false
	}
	if end == 0 {
		return n, text[i:], true
	}
	if i == len(text) || text[i] != end {
		return 0, text, false
	}
	return n, text[i+1:], true
}

// text is what a numbered code stands for, on its partition.
func (c code) text(partition Value) Value {
	bits := func(from, n int) int64 { return int64(c>>from) & (1<<n - 1) }
	b := make([]byte, 0, len(partition.text)+24)
	b = append(b, `"p`...)
	b = append(strconv.AppendInt(b, bits(1+sequenceBits+sessionBits, producerBits), 10), '-')
	b = append(strconv.AppendInt(b, bits(1+sequenceBits, sessionBits), 10), '-')
	b = append(strconv.AppendInt(b, bits(1, sequenceBits), 10), '@')
	return Value{text: string(append(b, partition.text[1:]...))}
}

// In is the value of a record of a partition as text: as String, where the value
// is kept by its numbers and so needs the partition to be told.
func (v Value) In(partition Value) string {
	if v.text == numberedText {
		return code(v.num).text(partition).text[1:]
	}
	return v.String()
}

// encodeIn is the code of a record's value.
func (h *History) encodeIn(key Key, v Value) code {
	switch {
	case v.text == numberedText:
		return code(v.num)
	case v.text != "" && v.text[0] == '"':
		if name := h.keys[key].text; name != "" {
			if c, ok := numbered(v.text[1:], name[1:]); ok {
				return c
			}
		}
	}
	return h.encode(v)
}

// textIn is the code of a record's value that was read as a text, with the mark of
// its kind before it.
func (h *History) textIn(key Key, text []byte) code {
	if name := h.keys[key].text; name != "" && text[0] == '"' {
		if c, ok := numbered(text[1:], name[1:]); ok {
			return c
		}
	}
	return codeOfText(h.texts.number(text))
}
