//go:build valgrind && linux

#include "textflag.h"

// func request(number, address, length, _, _, _ uintptr) uintptr
//
// As in valgrind/valgrind.h: the address of six words in AX, the answer in DX,
// and an instruction sequence that means nothing and that valgrind knows.
TEXT ·request(SB), NOSPLIT, $0-56
	LEAQ number+0(FP), AX
	XORL DX, DX
	ROLQ $3, DI
	ROLQ $13, DI
	ROLQ $61, DI
	ROLQ $51, DI
	XCHGQ BX, BX
	MOVQ DX, ret+48(FP)
	RET
