// Package interrupt has compiled programs ask whether they are to go on.
//
// A program that computes without end has to be stopped, and compiled code cannot be
// preempted: it must leave for Go now and then, which a collection of garbage waits for,
// too. wazero can have each loop do that, which makes a program 1.6 times slower. Here
// each loop counts, and leaves once in a while:
//
//	loop
//	  global.set $left (i32.sub (global.get $left) (i32.const 1))
//	  if (i32.eqz (global.get $left))
//	    drop (memory.grow (i32.const 0))    ;; goes to Go and back, and does nothing
//	    global.set $left (i32.const turns)
//	    if (global.get $stop) unreachable
//	  end
package interrupt

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// Variable is the name under which the module exports the variable. It is 0; with another
// value the module traps.
const Variable = "ktrial.stop"

// Sections of a module (WebAssembly Core Specification 2.0, 5.5). All but the custom
// ones stand in this order.
const (
	sectionCustom = 0
	sectionImport = 2
	sectionMemory = 5
	sectionGlobal = 6
	sectionExport = 7
	sectionCode   = 10
	sectionData   = 11
	sectionCount  = 12 // of the data segments: it stands before the code
)

// kindGlobal is a global among imports and exports.
const kindGlobal = 3

// turns is how often loops turn before they leave: a millisecond at most.
const turns = 1 << 16

// Loops has each loop of a module ask. It fails for what is no module, and for
// instructions that are not known here, such as those of SIMD.
func Loops(module []byte) ([]byte, error) {
	if len(module) < 8 || string(module[:4]) != "\x00asm" {
		return nil, errors.New("it does not begin as a module does")
	}
	r := &reader{b: module, at: 8}
	out := append(make([]byte, 0, len(module)+len(module)/16), module[:8]...)
	var globals uint32 // so far: imported ones, then its own
	have := map[byte]bool{}
	// add writes a section that the module does not have, before one that comes after it.
	add := func(before byte) {
		if rank(before) > rank(sectionGlobal) && !have[sectionGlobal] {
			out, have[sectionGlobal] = section(out, sectionGlobal, withGlobals(nil, 0)), true
		}
		if rank(before) > rank(sectionExport) && !have[sectionExport] {
			out, have[sectionExport] = section(out, sectionExport, withExport(nil, 0, globals)), true
		}
	}
	for r.at < len(r.b) && r.err == nil {
		id, body := r.byte(), r.bytes()
		if id != sectionCustom {
			add(id)
			have[id] = true
		}
		s := &reader{b: body}
		switch id {
		case sectionImport:
			globals = s.importedGlobals()
		case sectionGlobal:
			n := s.u32()
			globals += n
			body = withGlobals(s.rest(), n)
		case sectionExport:
			n := s.u32()
			body = withExport(s.rest(), n, globals)
		case sectionCode:
			body = s.functions(globals)
		}
		r.fail(s.err)
		out = section(out, id, body)
	}
	if !have[sectionMemory] {
		r.fail(errors.New("it has no memory of its own"))
	}
	return out, r.err
}

// rank is where a section stands.
func rank(id byte) int {
	order := []byte{1, sectionImport, 3, 4, sectionMemory, 13, sectionGlobal, sectionExport, 8, 9, sectionCount, sectionCode, sectionData}
	return slices.Index(order, id)
}

func section(out []byte, id byte, body []byte) []byte {
	return append(binary.AppendUvarint(append(out, id), uint64(len(body))), body...)
}

// withGlobals adds the variables, numbers of 32 bits, to n globals: stop, then left.
func withGlobals(globals []byte, n uint32) []byte {
	out := append(binary.AppendUvarint(nil, uint64(n)+2), globals...)
	out = append(out, typeI32, mutable, opConst, 0, opEnd)
	return append(constant(append(out, typeI32, mutable), turns), opEnd)
}

// asking are the instructions of a loop.
func asking(stop uint32) (code []byte) {
	left := stop + 1
	code = constant(variable(code, opGlobalGet, left), 1)
	code = append(code, opSub)
	code = variable(code, opGlobalSet, left)
	code = append(variable(code, opGlobalGet, left), opEqz, opIf, noType)
	code = append(code, opConst, 0, opMemoryGrow, 0, opDrop)
	code = variable(constant(code, turns), opGlobalSet, left)
	code = append(variable(code, opGlobalGet, stop), opIf, noType, opUnreachable, opEnd)
	return append(code, opEnd)
}

func variable(code []byte, op byte, index uint32) []byte {
	return binary.AppendUvarint(append(code, op), uint64(index))
}

// constant is a number that is not negative: in LEB128 with a sign.
func constant(code []byte, n uint32) []byte {
	code = append(code, opConst)
	for ; n >= 0x40; n >>= 7 {
		code = append(code, byte(n)|0x80)
	}
	return append(code, byte(n))
}

// withExport adds the variable to n exports.
func withExport(exports []byte, n, global uint32) []byte {
	out := append(binary.AppendUvarint(nil, uint64(n)+1), exports...)
	out = append(binary.AppendUvarint(out, uint64(len(Variable))), Variable...)
	return binary.AppendUvarint(append(out, kindGlobal), uint64(global))
}

// functions are the bodies of a code section, whose loops ask for a global.
func (r *reader) functions(global uint32) []byte {
	ask := asking(global)
	n := r.count()
	out := binary.AppendUvarint(make([]byte, 0, len(r.b)+len(r.b)/8), uint64(n))
	var body []byte
	for range n {
		f := &reader{b: r.bytes()}
		body = f.function(body[:0], ask)
		if r.fail(f.err); r.err != nil {
			return nil
		}
		out = append(binary.AppendUvarint(out, uint64(len(body))), body...)
	}
	return out
}

// function appends the locals and instructions of a function, with ask in each loop.
func (r *reader) function(out, ask []byte) []byte {
	for range r.count() { // locals: how many, of which type
		r.u32()
		r.skip(1)
	}
	copied := 0
	for r.at < len(r.b) && r.err == nil {
		if r.instruction() == opLoop {
			out = append(append(out, r.b[copied:r.at]...), ask...)
			copied = r.at
		}
	}
	return append(out, r.b[copied:]...)
}

// Opcodes, and types, that are written or looked for.
const (
	opUnreachable = 0x00
	opLoop        = 0x03
	opIf          = 0x04
	opEnd         = 0x0b
	opDrop        = 0x1a
	opGlobalGet   = 0x23
	opGlobalSet   = 0x24
	opMemoryGrow  = 0x40
	opConst       = 0x41
	opEqz         = 0x45
	opSub         = 0x6b

	noType  = 0x40
	typeI32 = 0x7f
	mutable = 1
)

// An operand is what follows an opcode, up to the next one.
type operand uint8

const (
	unknown    operand = iota
	nothing            // nothing
	number             // a number in LEB128: a type of a block, an index, a constant
	numbers            // two of them: a type and a table, or alignment and offset
	table              // of br_table: numbers after their count, and one more
	types              // of select: a byte each, after their count
	fourBytes          // a float
	eightBytes         // a double
	prefixed           // an opcode of its own, after 0xfc
)

// operands are those of the instructions of WebAssembly 2.0 without vectors, which Go's
// compiler and others write.
var operands = func() (all [256]operand) {
	set := func(o operand, from, to int) {
		for op := from; op <= to; op++ {
			all[op] = o
		}
	}
	set(nothing, 0x00, 0x01)    // unreachable, nop
	set(number, 0x02, 0x04)     // block, loop, if
	set(nothing, 0x05, 0x05)    // else
	set(nothing, 0x0b, 0x0b)    // end
	set(number, 0x0c, 0x0d)     // br, br_if
	set(table, 0x0e, 0x0e)      // br_table
	set(nothing, 0x0f, 0x0f)    // return
	set(number, 0x10, 0x10)     // call
	set(numbers, 0x11, 0x11)    // call_indirect
	set(nothing, 0x1a, 0x1b)    // drop, select
	set(types, 0x1c, 0x1c)      // select of types
	set(number, 0x20, 0x26)     // variables, tables
	set(numbers, 0x28, 0x3e)    // loads, stores
	set(number, 0x3f, 0x42)     // memory.size, memory.grow, constants
	set(fourBytes, 0x43, 0x43)  // f32.const
	set(eightBytes, 0x44, 0x44) // f64.const
	set(nothing, 0x45, 0xc4)    // arithmetic
	set(number, 0xd0, 0xd0)     // ref.null
	set(nothing, 0xd1, 0xd1)    // ref.is_null
	set(number, 0xd2, 0xd2)     // ref.func
	set(prefixed, 0xfc, 0xfc)
	return all
}()

// instruction reads one instruction, and returns its opcode.
func (r *reader) instruction() (op byte) {
	op = r.byte()
	switch operands[op] {
	case nothing:
	case number:
		r.leb()
	case numbers:
		r.leb()
		r.leb()
	case table:
		for range r.count() {
			r.leb()
		}
		r.leb()
	case types:
		r.skip(r.count())
	case fourBytes:
		r.skip(4)
	case eightBytes:
		r.skip(8)
	case prefixed:
		r.prefixed(r.u32())
	default:
		r.fail(fmt.Errorf("instruction %#x is not known", op))
	}
	return op
}

// prefixed reads what follows the prefix 0xfc and an opcode.
func (r *reader) prefixed(op uint32) {
	switch {
	case op <= 7: // conversions that saturate
	case op == 9, op == 11, op == 13, 15 <= op && op <= 17: // data.drop, memory.fill, elem.drop; tables
		r.leb()
	case op == 8, op == 10, op == 12, op == 14: // memory.init, memory.copy, table.init, table.copy
		r.leb()
		r.leb()
	default:
		r.fail(fmt.Errorf("instruction 0xfc %d is not known", op))
	}
}

// importedGlobals counts the globals among the imports.
func (r *reader) importedGlobals() (n uint32) {
	for range r.count() {
		r.bytes() // module
		r.bytes() // name
		switch kind := r.byte(); kind {
		case 0: // function: its type
			r.leb()
		case 1: // table: its type, and limits
			r.skip(1)
			r.limits()
		case 2: // memory
			r.limits()
		case kindGlobal:
			r.skip(2)
			n++
		default:
			r.fail(fmt.Errorf("an import of kind %d is not known", kind))
		}
	}
	return n
}

func (r *reader) limits() {
	if r.byte()&1 != 0 {
		r.leb()
	}
	r.leb()
}

// reader reads a part of a module. After an error it reads nothing more.
type reader struct {
	b   []byte
	at  int
	err error
}

func (r *reader) fail(err error) {
	if r.err == nil && err != nil {
		r.err, r.at = err, len(r.b)
	}
}

var errCut = errors.New("it is cut off")

func (r *reader) byte() byte {
	if r.at >= len(r.b) {
		r.fail(errCut)
		return 0
	}
	r.at++
	return r.b[r.at-1]
}

// leb skips a number in LEB128, signed or not.
func (r *reader) leb() {
	for r.at < len(r.b) {
		if r.at++; r.b[r.at-1] < 0x80 {
			return
		}
	}
	r.fail(errCut)
}

func (r *reader) u32() uint32 {
	v, n := binary.Uvarint(r.b[r.at:])
	if n <= 0 || v > 1<<32-1 {
		r.fail(errCut)
		return 0
	}
	r.at += n
	return uint32(v)
}

func (r *reader) skip(n int) {
	if n > len(r.b)-r.at {
		r.fail(errCut)
		return
	}
	r.at += n
}

// count is how many follow, of a byte at least each.
func (r *reader) count() int {
	n := r.u32()
	if uint64(n) > uint64(len(r.b)-r.at) {
		r.fail(errCut)
		return 0
	}
	return int(n)
}

// bytes are those that follow their number.
func (r *reader) bytes() []byte {
	n := r.count()
	r.at += n
	return r.b[r.at-n : r.at]
}

func (r *reader) rest() []byte { return r.b[r.at:] }
