package wasi

import (
	"context" //det:allow see wasi.go
	"encoding/binary"
	"fmt"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/sys"
)

// call is one function of the host. Its arguments are on the stack, 32 bits or 64; what
// it returns is an errno.
type call struct {
	module, name string
	arguments    string // i: 32 bits, I: 64 bits
	does         func(c caller, a []uint64) errno
}

const (
	preview1 = "wasi_snapshot_preview1"
	world    = "ktrial"
)

// calls is all that a program may ask of its host. The functions of preview 1 without a body
// are refused as an operating system without a file system would.
var calls = []call{
	{preview1, "args_get", "ii", func(c caller, a []uint64) errno { return c.texts(c.in.args(), a) }},
	{preview1, "args_sizes_get", "ii", func(c caller, a []uint64) errno { return c.sizes(c.in.args(), a) }},
	{preview1, "environ_get", "ii", func(c caller, a []uint64) errno { return c.texts(c.in.proc.Env, a) }},
	{preview1, "environ_sizes_get", "ii", func(c caller, a []uint64) errno { return c.sizes(c.in.proc.Env, a) }},
	{preview1, "clock_res_get", "ii", func(c caller, a []uint64) errno { return c.put64(a[1], 1) }},
	{preview1, "clock_time_get", "iIi", clockTime},
	{preview1, "random_get", "ii", random},
	{preview1, "sched_yield", "", func(c caller, _ []uint64) errno { c.in.pace.spend(yielding); return success }},
	{preview1, "poll_oneoff", "iiii", poll},

	{preview1, "fd_read", "iiii", read},
	{preview1, "fd_write", "iiii", write},
	{preview1, "fd_close", "i", closeDescriptor},
	{preview1, "fd_fdstat_get", "ii", descriptorStatus},
	{preview1, "fd_fdstat_set_flags", "ii", func(c caller, a []uint64) errno { return c.known(a[0]) }},
	{preview1, "sock_shutdown", "ii", closeDirection},

	{world, "dial", "iii", dial},
	{world, "dialed", "ii", dialed},
	{world, "resolve", "iiii", resolve},
	{world, "stopping", "i", listen},
	{world, "listen", "iii", listenOn},

	{preview1, "fd_prestat_get", "ii", givenDirectory},
	{preview1, "fd_prestat_dir_name", "iii", givenName},
	{preview1, "fd_advise", "iIIi", nil},
	{preview1, "fd_allocate", "iII", nil},
	{preview1, "fd_datasync", "i", sync},
	{preview1, "fd_fdstat_set_rights", "iII", nil},
	{preview1, "fd_filestat_get", "ii", statDescriptor},
	{preview1, "fd_filestat_set_size", "iI", ofFile(resize)},
	{preview1, "fd_filestat_set_times", "iIIi", nil},
	{preview1, "fd_pread", "iiiIi", positioned((*file).readAt)},
	{preview1, "fd_pwrite", "iiiIi", positioned((*file).writeAt)},
	{preview1, "fd_readdir", "iiiIi", readDirectory},
	{preview1, "fd_renumber", "ii", nil},
	{preview1, "fd_seek", "iIii", ofFile(seek)},
	{preview1, "fd_sync", "i", sync},
	{preview1, "fd_tell", "ii", ofFile(func(c caller, f *file, a []uint64) errno { return c.put64(a[1], uint64(f.at)) })},
	{preview1, "path_create_directory", "iii", makeDirectory},
	{preview1, "path_filestat_get", "iiiii", statPath},
	{preview1, "path_filestat_set_times", "iiiiIIi", nil},
	{preview1, "path_link", "iiiiiii", nil},
	{preview1, "path_open", "iiiiiIIii", openPath},
	{preview1, "path_readlink", "iiiiii", nil},
	{preview1, "path_remove_directory", "iii", remove(directoryFile, notDirectory)},
	{preview1, "path_rename", "iiiiii", rename},
	{preview1, "path_symlink", "iiiii", nil},
	{preview1, "path_unlink_file", "iii", remove(regularFile, isDirectory)},
	{preview1, "proc_raise", "i", nil},
	{preview1, "sock_accept", "iii", accepted},
	{preview1, "sock_recv", "iiiiii", nil},
	{preview1, "sock_send", "iiiii", nil},
}

// procExit alone returns nothing, not even to its caller.
const procExit = "proc_exit"

func provided(module, name string) bool {
	for i := range calls {
		if calls[i].module == module && calls[i].name == name {
			return true
		}
	}
	return module == preview1 && name == procExit
}

// provideCalls makes the functions of the host known to a runtime.
func provideCalls(ctx context.Context, r wazero.Runtime) error {
	builders := map[string]wazero.HostModuleBuilder{preview1: r.NewHostModuleBuilder(preview1), world: r.NewHostModuleBuilder(world)}
	for _, c := range calls {
		builders[c.module].NewFunctionBuilder().WithGoModuleFunction(c.function(), types(c.arguments), []api.ValueType{api.ValueTypeI32}).Export(c.name)
	}
	exit := api.GoModuleFunc(func(ctx context.Context, _ api.Module, stack []uint64) {
		panic(sys.NewExitError(uint32(stack[0])))
	})
	builders[preview1].NewFunctionBuilder().WithGoModuleFunction(exit, types("i"), nil).Export(procExit)
	for _, module := range []string{preview1, world} {
		if _, err := builders[module].Instantiate(ctx); err != nil {
			return fmt.Errorf("providing %s: %w", module, err)
		}
	}
	return nil
}

func types(arguments string) []api.ValueType {
	var out []api.ValueType
	for _, a := range arguments {
		if a == 'I' {
			out = append(out, api.ValueTypeI64)
		} else {
			out = append(out, api.ValueTypeI32)
		}
	}
	return out
}

// function makes a call one of wazero's.
func (c call) function() api.GoModuleFunc {
	does := c.does
	if does == nil {
		does = func(caller, []uint64) errno { return notHere }
	}
	return func(ctx context.Context, mod api.Module, stack []uint64) {
		in := of(ctx)
		in.calls.Add(1)
		in.inside.Store(false)
		in.obeySignals()
		for i, a := range c.arguments {
			if a == 'i' {
				stack[i] = uint64(uint32(stack[i])) // the upper half is not defined
			}
		}
		stack[0] = uint64(does(caller{in, mod.Memory()}, stack))
		in.inside.Store(true)
	}
}

// caller is an instance that calls, with its memory.
type caller struct {
	in     *instance
	memory api.Memory
}

// bytes are part of the program's memory; nil if it has no such part.
func (c caller) bytes(at uint64, size uint64) []byte {
	b, ok := c.memory.Read(uint32(at), uint32(size))
	if !ok {
		return nil
	}
	return b
}

func (c caller) put32(at uint64, v uint32) errno {
	if !c.memory.WriteUint32Le(uint32(at), v) {
		return invalid
	}
	return success
}

func (c caller) put64(at uint64, v uint64) errno {
	if !c.memory.WriteUint64Le(uint32(at), v) {
		return invalid
	}
	return success
}

func (c caller) known(fd uint64) errno {
	if c.in.open[int32(fd)] == nil {
		return badDescriptor
	}
	return success
}

func (in *instance) args() []string { return append([]string{in.program.Name}, in.proc.Args...) }

// sizes tells how many texts there are and how much memory they need.
func (c caller) sizes(texts []string, a []uint64) errno {
	size := 0
	for _, t := range texts {
		size += len(t) + 1
	}
	if e := c.put32(a[0], uint32(len(texts))); e != success {
		return e
	}
	return c.put32(a[1], uint32(size))
}

// texts writes texts that end in a zero byte, and where each begins.
func (c caller) texts(texts []string, a []uint64) errno {
	pointers, at := a[0], a[1]
	for _, t := range texts {
		if e := c.put32(pointers, uint32(at)); e != success {
			return e
		}
		if !c.memory.Write(uint32(at), append([]byte(t), 0)) {
			return invalid
		}
		pointers += 4
		at += uint64(len(t)) + 1
	}
	return success
}

// clockTime: id, precision, where. 0 is the wall clock, 1 the monotonic one.
func clockTime(c caller, a []uint64) errno {
	c.in.pace.spend(c.in.pace.reading())
	switch a[0] {
	case 0:
		return c.put64(a[2], uint64(c.in.pace.wall()))
	case 1:
		return c.put64(a[2], uint64(c.in.pace.monotonic()))
	}
	return invalid
}

// random: where, size. Go's runtime asks once a start, for its maps and selects.
func random(c caller, a []uint64) errno {
	p := c.bytes(a[0], a[1])
	if p == nil && a[1] > 0 {
		return invalid
	}
	var word [8]byte
	for len(p) > 0 {
		binary.LittleEndian.PutUint64(word[:], c.in.h.Rand().Uint64())
		p = p[copy(p, word[:]):]
	}
	return success
}

// vectors are the parts of memory that an array of (address, size) names.
func (c caller) vectors(at, count uint64) ([][]byte, errno) {
	var out [][]byte
	for i := range min(count, 1024) {
		v := c.bytes(at+8*i, 8)
		if v == nil {
			return nil, invalid
		}
		p := c.bytes(uint64(binary.LittleEndian.Uint32(v)), uint64(binary.LittleEndian.Uint32(v[4:])))
		if p == nil {
			return nil, invalid
		}
		out = append(out, p)
	}
	return out, success
}

// read: descriptor, vectors, count, where the number of bytes goes.
func read(c caller, a []uint64) errno { return c.transfer(a, descriptor.read) }

// write is as read.
func write(c caller, a []uint64) errno { return c.transfer(a, descriptor.write) }

func (c caller) transfer(a []uint64, move func(descriptor, []byte) (int, errno)) errno {
	c.in.pace.spend(readOrWrite)
	d := c.in.open[int32(a[0])]
	if d == nil {
		return badDescriptor
	}
	vectors, e := c.vectors(a[1], a[2])
	if e != success {
		return e
	}
	total := 0
	for _, p := range vectors {
		n, e := move(d, p)
		total += n
		if e != success && total == 0 {
			return e
		}
		if e != success || n < len(p) {
			break
		}
	}
	return c.put32(a[3], uint32(total))
}

func closeDescriptor(c caller, a []uint64) errno {
	d := c.in.open[int32(a[0])]
	if d == nil {
		return badDescriptor
	}
	delete(c.in.open, int32(a[0]))
	d.close()
	c.in.ready.Broadcast()
	return success
}

// descriptorStatus: descriptor, where 24 bytes go: type, flags, rights, inherited rights.
func descriptorStatus(c caller, a []uint64) errno {
	d := c.in.open[int32(a[0])]
	if d == nil {
		return badDescriptor
	}
	const nonBlocking = 4
	var status [24]byte
	status[0] = d.fileType()
	if d.fileType() == streamSocket {
		binary.LittleEndian.PutUint16(status[2:], nonBlocking)
	}
	binary.LittleEndian.PutUint64(status[8:], ^uint64(0))
	if !c.memory.Write(uint32(a[1]), status[:]) {
		return invalid
	}
	return success
}

// closeDirection ends both: a connection of env has no half-closed state, and a
// client that has said all it wants reads to the end seldom.
func closeDirection(c caller, a []uint64) errno {
	if s, is := c.in.open[int32(a[0])].(*socket); is {
		if a[1]&2 != 0 {
			s.close()
		}
		return success
	}
	return badDescriptor
}

// dial: address, size, where the descriptor goes. The address is "ip:port" of what
// resolve answered, or "host:port".
func dial(c caller, a []uint64) errno {
	p := c.bytes(a[0], a[1])
	if p == nil {
		return invalid
	}
	return c.put32(a[2], uint32(c.in.dial(c.in.named(string(p)))))
}

// dialed: descriptor, where the port of this end goes. again: the dial goes on.
func dialed(c caller, a []uint64) errno {
	s, is := c.in.open[int32(a[0])].(*socket)
	switch {
	case !is:
		return badDescriptor
	case s.failed != success:
		return s.failed
	case s.conn == nil:
		return again
	}
	return c.put32(a[1], port(s.conn.LocalAddr()))
}

// resolve: name, size, where the address goes (4 bytes), and how many there are.
func resolve(c caller, a []uint64) errno {
	p := c.bytes(a[0], a[1])
	if p == nil {
		return invalid
	}
	ip := c.in.address(string(p))
	if !c.memory.Write(uint32(a[2]), ip[:]) {
		return invalid
	}
	return c.put32(a[3], 1)
}

// listen: where the descriptor goes that becomes readable when the program is
// asked to end.
func listen(c caller, a []uint64) errno {
	c.in.listens = true
	return c.put32(a[0], uint32(c.in.add(stopping{c.in})))
}
