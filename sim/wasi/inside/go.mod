module github.com/ktrial/ktrial/sim/wasi/inside

go 1.24
