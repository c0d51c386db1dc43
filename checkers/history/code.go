package history

import "strconv"

// code is a value in 64 bits: an integer, or the number of a text.
type code uint64

const maxInline = int64(1) << 61

func codeOfInt(n int64) code      { return code(n << 1) }
func codeOfText(sym uint32) code  { return code(sym)<<1 | 1 }
func (c code) int() (int64, bool) { return int64(c) >> 1, c&1 == 0 }

func (h *History) encode(v Value) code {
	if v.text == "" {
		if -maxInline < v.num && v.num < maxInline {
			return codeOfInt(v.num)
		}
		return codeOfText(h.texts.number([]byte("\x00" + strconv.FormatInt(v.num, 10))))
	}
	return codeOfText(h.texts.number([]byte(v.text)))
}

func (h *History) decode(c code) Value {
	if n, ok := c.int(); ok {
		return Int(n)
	}
	text := string(h.texts.text(uint32(c >> 1)))
	if text[0] == 0 {
		n, _ := strconv.ParseInt(text[1:], 10, 64)
		return Int(n)
	}
	return Value{text: text}
}

// keyOf numbers a partition by its name. There are few, and each event names
// some: those used last are found without a table.
func (h *History) keyOf(v Value) Key {
	if v.text == "" {
		return h.keyNumber(h.encode(v))
	}
	last := &h.namedLast[v.text[len(v.text)-1]%byte(len(h.namedLast))]
	if last.name != v {
		*last = named{v, h.keyNumber(h.encode(v))}
	}
	return last.key
}

type named struct {
	name Value
	key  Key
}

func (h *History) keyNumber(c code) Key {
	if k, ok := h.keyByCode[c]; ok {
		return k
	}
	k := Key(len(h.keys))
	h.keys = append(h.keys, h.decode(c))
	h.keyByCode[c] = k
	return k
}

func (h *History) processNumber(p int64) int32 {
	if h.lastProc >= 0 && h.processes[h.lastProc].number == p {
		return h.lastProc
	}
	i := h.processAt(p)
	if i < 0 {
		i = int32(len(h.processes))
		h.processes = append(h.processes, process{number: p})
		h.nameProcess(p, i)
	}
	h.lastProc = i
	return i
}

// fewProcesses are numbered without a table: most histories count them from 0.
const fewProcesses = 1 << 20

// processAt is where the process of a number is; -1: there is none.
func (h *History) processAt(p int64) int32 {
	if p >= 0 && p < int64(len(h.processBy)) {
		return h.processBy[p] - 1
	}
	if i, ok := h.processOf[p]; ok {
		return i
	}
	return -1
}

func (h *History) nameProcess(p int64, i int32) {
	if p < 0 || p >= fewProcesses || p > int64(2*len(h.processBy)+64) {
		h.processOf[p] = i
		return
	}
	for int64(len(h.processBy)) <= p {
		n := int64(len(h.processBy))
		there := int32(0)
		if j, ok := h.processOf[n]; ok {
			there = j + 1
		}
		h.processBy = append(h.processBy, there)
	}
	h.processBy[p] = i + 1
}

// textNumber numbers a short text that turns up in event after event.
func (h *History) textNumber(s string) uint32 {
	at := uint32(len(s))
	for i := range len(s) {
		at = at*31 + uint32(s[i])
	}
	last := &h.saidLast[at%uint32(len(h.saidLast))]
	if last.text != s {
		*last = said{h.texts.number([]byte(s)) + 1, s}
	}
	return last.number - 1
}
