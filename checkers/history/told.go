package history

// Number is a number that was told: an offset, a leader epoch, a timestamp. The
// zero Number was not told, and claims nothing.
type Number struct{ plus int64 } // the number plus one; 0: not told

// At is the number n, told. A negative n, which Kafka uses for "none", is not.
func At(n int64) Number {
	if n < 0 {
		return Number{}
	}
	return Number{n + 1}
}

// Told is the number, if it was told.
func (n Number) Told() (int64, bool) { return n.plus - 1, n.plus != 0 }

// Or is the number, or what is to stand for one that was not told.
func (n Number) Or(otherwise int64) int64 {
	if n.plus == 0 {
		return otherwise
	}
	return n.plus - 1
}

// Attributes are what a record carries beside its value. What is zero was not
// told. Only where both its producer and its consumer tell are they compared.
type Attributes struct {
	// LeaderEpoch is that of the leader that appended the record. An offset alone
	// is no record: after an election another one may stand there.
	LeaderEpoch Number
	// Timestamp is in milliseconds.
	Timestamp Number
	// RecordKey is the record's own key, as text; Null() if it has none. The zero
	// Value was not told.
	RecordKey Value
	// Headers are in their order; nil: not told.
	Headers []Header
}

// Header is one header of a record.
type Header struct{ Key, Value string }

// Details are the attributes of one sighting of a record, but for the leader
// epoch, in numbers that can be compared: see History.Details.
type Details struct {
	Timestamp    int64  // plus one; 0: not told
	key, headers uint32 // number of a text plus one; 0: not told
}

// RecordKey numbers the record's key within its history; 0: it was not told.
func (d *Details) RecordKey() uint32 { return d.key }

// NullKey is the number of the record key of records that have none.
func (h *History) NullKey() uint32 { return h.texts.number([]byte(nullText)) + 1 }

// HasKey and HasHeaders report whether they were told.
func (d *Details) HasKey() bool     { return d.key != 0 }
func (d *Details) HasHeaders() bool { return d.headers != 0 }

// Same reports whether nothing that both tell differs. Timestamps count only if
// asked for.
func (d *Details) Same(other *Details, timestamps bool) bool {
	differ := func(a, b uint32) bool { return a != 0 && b != 0 && a != b }
	return !differ(d.key, other.key) && !differ(d.headers, other.headers) &&
		!(timestamps && d.Timestamp != 0 && other.Timestamp != 0 && d.Timestamp != other.Timestamp)
}

// Details are the attributes with this number, as Sent.Details and
// Polled.Details have it, from 1.
func (h *History) Details(number uint32) *Details { return h.told.at(int(number) - 1) }

// Attributes are what d tells.
func (h *History) Attributes(d *Details) (a Attributes) {
	a.Timestamp = Number{d.Timestamp}
	if d.key != 0 {
		a.RecordKey = Value{text: string(h.texts.text(d.key - 1))}
	}
	if d.headers != 0 {
		a.Headers = readHeaders(h.texts.text(d.headers - 1))
	}
	return a
}

// detailsOf numbers what else was told of a record; 0: nothing.
func (h *History) detailsOf(a *Attributes) uint32 {
	if a.Timestamp.plus == 0 && a.RecordKey == (Value{}) && a.Headers == nil {
		return 0
	}
	d := Details{Timestamp: a.Timestamp.plus}
	if a.RecordKey != (Value{}) {
		d.key = h.texts.number([]byte(a.RecordKey.text)) + 1
	}
	if a.Headers != nil {
		d.headers = h.texts.number(writeHeaders(nil, a.Headers)) + 1
	}
	return h.addDetails(d)
}

func (h *History) addDetails(d Details) uint32 {
	if n := h.told.n; n > 0 && *h.told.at(n - 1) == d {
		return uint32(n)
	}
	h.told.add(d)
	return uint32(h.told.n)
}

// writeHeaders puts headers into one text, each part behind its length.
func writeHeaders(b []byte, headers []Header) []byte {
	b = append(b, 'h')
	for _, h := range headers {
		for _, part := range [2]string{h.Key, h.Value} {
			b = appendText(b, part)
		}
	}
	return b
}

func readHeaders(b []byte) []Header {
	headers := []Header{}
	for b = b[1:]; len(b) > 0; {
		var h Header
		h.Key, b = cutText(b)
		h.Value, b = cutText(b)
		headers = append(headers, h)
	}
	return headers
}
