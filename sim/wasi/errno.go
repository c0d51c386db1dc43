package wasi

import (
	"errors"

	"github.com/ktrial/ktrial/sim/env"
)

// errno is an error as WASI numbers them.
type errno uint32

const (
	success       errno = 0
	again         errno = 6
	badDescriptor errno = 8
	portUsed      errno = 3
	refused       errno = 14
	reset         errno = 15
	exists        errno = 20
	invalid       errno = 28
	inputOutput   errno = 29
	isDirectory   errno = 31
	notFound      errno = 44
	noSpace       errno = 51
	notHere       errno = 52 // ENOSYS
	notDirectory  errno = 54
	notEmpty      errno = 55
	noSeek        errno = 70
	timedOut      errno = 73
)

// number is the errno of what the world answers.
func number(err error) errno {
	switch {
	case errors.Is(err, env.ErrTimeout):
		return timedOut
	case errors.Is(err, env.ErrRefused):
		return refused
	case errors.Is(err, env.ErrReset), errors.Is(err, env.ErrClosed):
		return reset
	case errors.Is(err, env.ErrPortUsed):
		return portUsed
	case errors.Is(err, env.ErrNotExist):
		return notFound
	case errors.Is(err, env.ErrExist):
		return exists
	case errors.Is(err, env.ErrNoSpace):
		return noSpace
	}
	return inputOutput
}
