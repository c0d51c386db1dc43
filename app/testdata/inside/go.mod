module plain

go 1.24

require github.com/ktrial/ktrial/sim/wasi/inside v0.0.0

replace github.com/ktrial/ktrial/sim/wasi/inside => ../../../sim/wasi/inside
