module example.org/guest

go 1.26.0

require github.com/ktrial/ktrial v0.0.0

replace github.com/ktrial/ktrial => ../..
