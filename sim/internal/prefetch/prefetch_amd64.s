#include "textflag.h"

// func lines(addr, n uintptr)
TEXT ·lines(SB), NOSPLIT, $0-16
	MOVQ addr+0(FP), AX
	MOVQ n+8(FP), CX
line:
	PREFETCHT0 (AX)
	ADDQ $64, AX
	DECQ CX
	JNZ  line
	RET

// func targets(addr, n, like uintptr)
//
// An address is near like if the upper 30 bits are the same, and not worth
// asking for if it is on the stack itself, within 4 KiB of addr.
TEXT ·targets(SB), NOSPLIT, $0-24
	MOVQ addr+0(FP), AX
	MOVQ n+8(FP), CX
	MOVQ like+16(FP), DX
	MOVQ AX, SI
	SHRQ $34, DX
	TESTQ CX, CX
	JZ   done
word:
	MOVQ (AX), BX
	MOVQ BX, DI
	SHRQ $34, DI
	CMPQ DI, DX
	JNE  next
	MOVQ BX, DI
	SUBQ SI, DI
	ADDQ $4096, DI
	CMPQ DI, $8192
	JB   next
	PREFETCHT0 (BX)
next:
	ADDQ $8, AX
	DECQ CX
	JNZ  word
done:
	RET

// func here() (stack, top, gp uintptr)
//
// R14 holds the current goroutine in Go's own calling convention; its record
// begins with the bounds of its stack.
TEXT ·here(SB), NOSPLIT, $0-24
	LEAQ stack+0(FP), AX
	MOVQ AX, stack+0(FP)
	MOVQ 8(R14), AX
	MOVQ AX, top+8(FP)
	MOVQ R14, gp+16(FP)
	RET
