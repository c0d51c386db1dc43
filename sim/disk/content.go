package disk

// content is the bytes of a file, in pieces so that a file grows without being
// copied. A piece may be shorter than it should be: the rest is zeros.
type content struct {
	pieces [][]byte
	size   int64
	// packed are pieces that were packed, by index: what is here is not in pieces.
	packed  [][]byte
	packing *Packing // nil: nothing is packed
}

const piece = 16 << 10

func (c *content) read(p []byte, off int64) int {
	if off >= c.size {
		return 0
	}
	p = p[:min(int64(len(p)), c.size-off)]
	for done := 0; done < len(p); {
		i, at := int(off/piece), int(off%piece)
		part := p[done:min(len(p), done+piece-at)]
		n := 0
		if i < len(c.packed) && c.packed[i] != nil {
			n = unpackInto(part, c.packed[i], at)
		} else if i < len(c.pieces) && at < len(c.pieces[i]) {
			n = copy(part, c.pieces[i][at:])
		}
		clear(part[n:])
		done += len(part)
		off += int64(len(part))
	}
	return len(p)
}

// bytes returns a copy of the n bytes at off; beyond the end they are zeros.
func (c *content) bytes(off, n int64) []byte {
	p := make([]byte, n)
	c.read(p, off)
	return p
}

func (c *content) write(p []byte, off int64) {
	c.size = max(c.size, off+int64(len(p)))
	for len(p) > 0 {
		i, at := int(off/piece), int(off%piece)
		for len(c.pieces) <= i {
			c.pieces = append(c.pieces, nil)
		}
		part := p[:min(len(p), piece-at)]
		if c.packing != nil {
			c.unpack(i)
			if i > 0 && at == 0 && len(c.pieces[i]) == 0 {
				c.pieces[i] = c.packing.buffer()
				if i > 1 { // the first piece grows, and so do most small files
					c.pack(i - 1)
				}
			}
		}
		c.pieces[i] = put(c.pieces[i], part, at, i > 0)
		p = p[len(part):]
		off += int64(len(part))
	}
}

// put writes part into a piece. The first piece of a file grows with it, for
// most files are small; later ones have their full size at once.
func put(b, part []byte, at int, full bool) []byte {
	end := at + len(part)
	if end > cap(b) {
		size := min(piece, max(end, 2*cap(b), 128))
		if full {
			size = piece
		}
		bigger := make([]byte, len(b), size)
		copy(bigger, b)
		b = bigger
	}
	if end > len(b) {
		old := len(b)
		b = b[:end]
		if at > old {
			clear(b[old:at])
		}
	}
	copy(b[at:], part)
	return b
}

// truncate changes the size and returns what was cut off. The pieces change
// hands, they are not copied: files of megabytes are created and emptied often.
func (c *content) truncate(size int64) (cut tail) {
	c.unpackFrom(int(size / piece))
	if i, at := int(size/piece), int(size%piece); size < c.size && i < len(c.pieces) {
		cut.pieces = append(cut.pieces, c.pieces[i:]...)
		cut.pieces[0] = nil
		if at < len(c.pieces[i]) {
			cut.first = append(cut.first, c.pieces[i][at:]...)
			c.pieces[i] = c.pieces[i][:at]
		}
		clear(c.pieces[i+1:])
		c.pieces = c.pieces[:i+1]
	}
	c.size = size
	return cut
}

// tail is what a truncate cuts off.
type tail struct {
	first  []byte   // of the piece that was cut through
	pieces [][]byte // that piece, for which nothing is here, and those after it
}

// graft puts a copy of the tail back, on content of the given size that ended
// at off. The tail keeps its own bytes, to be grafted again.
func (c *content) graft(cut tail, off, size int64) {
	c.size = size
	if len(cut.first) > 0 {
		c.write(cut.first, off)
	}
	for i, p := range cut.pieces {
		if len(p) > 0 {
			c.write(p, (off/piece+int64(i))*piece)
		}
	}
	c.size = size
}

func (c *content) clone() content {
	c.unpackFrom(0)
	d := content{pieces: make([][]byte, len(c.pieces)), size: c.size}
	for i, p := range c.pieces {
		d.pieces[i] = append([]byte(nil), p...)
	}
	return d
}
