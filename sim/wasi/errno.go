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
	refused       errno = 14
	reset         errno = 15
	invalid       errno = 28
	inputOutput   errno = 29
	notHere       errno = 52 // ENOSYS
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
	}
	return inputOutput
}
