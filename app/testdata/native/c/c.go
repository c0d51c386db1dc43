package c

// int one(void) { return 1; }
import "C"

// Do calls C.
func Do() { C.one() }
