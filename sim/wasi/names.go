package wasi

import (
	"fmt"
	"strconv"
	"strings"
)

// address is what a name resolves to. Every name does: whether a host of that
// name exists shows when it is dialed. Addresses are given in the order of asking.
func (in *instance) address(name string) [4]byte {
	name = strings.TrimSuffix(name, ".")
	text, known := in.addresses[name]
	if !known {
		n := len(in.addresses) + 1
		text = fmt.Sprintf("10.%d.%d.%d", n>>16&255, n>>8&255, n&255)
		in.addresses[name], in.names[text] = text, name
	}
	var ip [4]byte
	for i, part := range strings.Split(text, ".") {
		v, _ := strconv.Atoi(part)
		ip[i] = byte(v)
	}
	return ip
}

// named is a dialed address with the host's name in place of what it resolved to.
func (in *instance) named(addr string) string {
	colon := strings.LastIndexByte(addr, ':')
	if colon < 0 {
		return addr
	}
	host := addr[:colon]
	if name, known := in.names[host]; known {
		return name + addr[colon:]
	}
	if strings.HasPrefix(host, "127.") || host == "[::1]" || host == "0.0.0.0" || host == "[::]" {
		return in.h.Name() + addr[colon:]
	}
	return addr
}

// port is that of "host:port"; 0 if there is none.
func port(addr string) uint32 {
	n, _ := strconv.ParseUint(addr[strings.LastIndexByte(addr, ':')+1:], 10, 16)
	return uint32(n)
}
