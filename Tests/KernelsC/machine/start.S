// The first instructions of the emulated machine: from the reset vector to 64-bit mode with the AVX-512 state enabled,
// then C (supervisor.c). Everything runs in ring 0 with interrupts off; memory is mapped one to one.

#define RAM_PAGE_TABLES 0x1000
#define RAM_STACK 0x80000

  .section .reset, "ax"
  .code16
  ljmpw $0xf000, $(start16 - 0xf0000)
  .balign 16

  .text
start16:
  cli
  lgdtl %cs:(gdtPointer - 0xf0000)
  movl %cr0, %eax
  orl $1, %eax
  movl %eax, %cr0
  ljmpl $0x18, $start32

  .code32
start32:
  movl $0x10, %eax
  movl %eax, %ds
  movl %eax, %es
  movl %eax, %ss
  // One PML4, one PDPT, four page directories: 2048 pages of 2 MiB.
  movl $RAM_PAGE_TABLES, %edi
  xorl %eax, %eax
  movl $(6 * 4096 / 4), %ecx
  cld
  rep stosl
  movl $(RAM_PAGE_TABLES + 0x1000 + 3), RAM_PAGE_TABLES
  movl $(RAM_PAGE_TABLES + 0x2000 + 3), RAM_PAGE_TABLES + 0x1000
  movl $(RAM_PAGE_TABLES + 0x3000 + 3), RAM_PAGE_TABLES + 0x1008
  movl $(RAM_PAGE_TABLES + 0x4000 + 3), RAM_PAGE_TABLES + 0x1010
  movl $(RAM_PAGE_TABLES + 0x5000 + 3), RAM_PAGE_TABLES + 0x1018
  movl $(RAM_PAGE_TABLES + 0x2000), %edi
  movl $0x83, %eax
1:movl %eax, (%edi)
  addl $8, %edi
  addl $0x200000, %eax
  jnc 1b
  movl $RAM_PAGE_TABLES, %eax
  movl %eax, %cr3
  movl $0x50620, %eax  // PAE, OSFXSR, OSXMMEXCPT, FSGSBASE, OSXSAVE
  movl %eax, %cr4
  movl $0xc0000080, %ecx  // EFER: SYSCALL, long mode, no-execute
  movl $0x901, %eax
  xorl %edx, %edx
  wrmsr
  movl $0x80000033, %eax  // paging, numeric errors, extension type, monitor, protection; caches on
  movl %eax, %cr0
  ljmpl $0x08, $start64

  .code64
start64:
  xorl %ecx, %ecx
  movl $0xe7, %eax  // XCR0: x87, SSE, AVX, and the three AVX-512 states
  xorl %edx, %edx
  xsetbv
  fninit
  movl $0xc0000081, %ecx  // STAR: SYSCALL loads CS = 0x08, SS = 0x10
  xorl %eax, %eax
  movl $0x08, %edx
  wrmsr
  movl $0xc0000082, %ecx  // LSTAR
  movl $systemCall, %eax
  xorl %edx, %edx
  wrmsr
  movl $0xc0000084, %ecx  // FMASK: keep the direction flag clear inside
  movl $0x400, %eax
  wrmsr
  movl $RAM_STACK, %esp
  call supervise
  hlt

// enter(entry, stack): the program starts as the kernel would start it.
  .globl enter
enter:
  movq %rsi, %rsp
  xorl %edx, %edx
  jmpq *%rdi

// The caller may use the red zone below its stack pointer, so the handler has a stack of its own.
systemCall:
  movq %rsp, savedStack
  movl $RAM_STACK, %esp
  pushq %rcx
  pushq %r11
  pushq %rdi
  pushq %rsi
  pushq %rdx
  pushq %r8
  pushq %r9
  pushq %r10
  movq %rdx, %rcx  // (number, first, second, third)
  movq %rsi, %rdx
  movq %rdi, %rsi
  movq %rax, %rdi
  call answer
  popq %r10
  popq %r9
  popq %r8
  popq %rdx
  popq %rsi
  popq %rdi
  popq %r11
  popq %rcx
  pushq %r11
  popfq
  movq savedStack, %rsp
  jmpq *%rcx

// Thirty-two entries of 16 bytes, one per processor exception.
  .balign 16
  .globl exceptions
exceptions:
  .set vector, 0
  .rept 32
  .balign 16
  movl $vector, %edi
  jmp 2f
  .set vector, vector + 1
  .endr
2:movq %rsp, %rsi
  movq %cr2, %rdx
  andq $-16, %rsp
  call fault
  hlt

  .section .rodata
  .balign 8
gdt:
  .quad 0
  .quad 0x00af9b000000ffff  // 0x08 code, 64 bits
  .quad 0x00cf93000000ffff  // 0x10 data
  .quad 0x00cf9b000000ffff  // 0x18 code, 32 bits
gdtPointer:
  .word 4 * 8 - 1
  .long gdt

  .bss
  .balign 8
savedStack:
  .quad 0
