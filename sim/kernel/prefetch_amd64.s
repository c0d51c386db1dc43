#include "textflag.h"

// func prefetch(addr, lines uintptr)
TEXT ·prefetch(SB), NOSPLIT, $0-16
	MOVQ addr+0(FP), AX
	MOVQ lines+8(FP), CX
next:
	PREFETCHT0 (AX)
	ADDQ $64, AX
	DECQ CX
	JNZ  next
	RET

// func here() place
//
// R14 holds the current goroutine in Go's own calling convention.
TEXT ·here(SB), NOSPLIT, $0-16
	LEAQ ret_stack+0(FP), AX
	MOVQ AX, ret_stack+0(FP)
	MOVQ R14, ret_g+8(FP)
	RET
