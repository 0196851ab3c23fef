// A machine's whole software besides the program under test: loads one static Linux executable from the disk, answers
// the few system calls that the C library makes on its way to main() and for printing, and stops the emulator when the
// program ends.
//
// Text leaves by port 0xE9, which Bochs writes to its standard output; the word "Shutdown" on port 0x8900 ends Bochs.
#include <elf.h>
#include <stddef.h>
#include <stdint.h>

enum : uint64_t {
  programFile = 0x2000000,  // the executable's file
  heapEnd = 0x1f00000,      // the heap grows from the program's end to here
  stackTop = 0x1ff0000,
};

static uint64_t heapStart, heapBreak;
static struct { uint64_t low, high; } gates[32];
static struct __attribute__((packed)) { uint16_t limit; uint64_t base; } gatesPointer;

extern const char exceptions[];
void enter(uint64_t entry, uint64_t *stack);

static void out(uint16_t port, uint8_t byte) { __asm__ volatile("outb %0, %1" : : "a"(byte), "Nd"(port)); }
static uint8_t in(uint16_t port) {
  uint8_t byte;
  __asm__ volatile("inb %1, %0" : "=a"(byte) : "Nd"(port));
  return byte;
}
static void print(const char *text) { while (*text) out(0xe9, *text++); }
static void printHex(uint64_t value) {
  for (int shift = 60; shift >= 0; shift -= 4) out(0xe9, "0123456789abcdef"[value >> shift & 15]);
}
__attribute__((noreturn)) static void stop(uint64_t status) {
  print("program ends, status ");
  print(status ? "1\n" : "0\n");
  for (const char *word = "Shutdown"; *word; word++) out(0x8900, *word);
  for (;;) __asm__ volatile("hlt");
}
// Reads the disk's first sectors by programmed input: LBA addresses, no interrupts.
static void readDisk(uint8_t *to, uint32_t sectorCount) {
  enum {
    data = 0x1f0, count = 0x1f2, low = 0x1f3, middle = 0x1f4, high = 0x1f5, drive = 0x1f6, command = 0x1f7,
    control = 0x3f6, busy = 0x80, request = 8, error = 1, readSectors = 0x20,
  };
  out(control, 2);
  for (uint32_t sector = 0; sector < sectorCount; sector++) {
    out(drive, 0xe0 | sector >> 24);
    out(count, 1);
    out(low, sector & 255);
    out(middle, sector >> 8 & 255);
    out(high, sector >> 16 & 255);
    out(command, readSectors);
    uint8_t status;
    while ((status = in(command)) & busy) {}
    if (status & error || !(status & request)) print("the disk cannot be read\n"), stop(1);
    uint64_t words = 256;
    __asm__ volatile("rep insw" : "+D"(to), "+c"(words) : "d"((uint16_t)data) : "memory");
  }
}

// The compiler may call these for its own ends.
void *memset(void *to, int value, size_t count) {
  for (char *p = to; count--;) *p++ = value;
  return to;
}
void *memcpy(void *to, const void *from, size_t count) {
  const char *source = from;
  for (char *p = to; count--;) *p++ = *source++;
  return to;
}

void fault(uint64_t vector, const uint64_t *frame, uint64_t address) {
  print("\nprocessor exception ");
  printHex(vector);
  print(" address ");
  printHex(address);
  print(" frame");
  for (int i = 0; i < 5; i++) print(" "), printHex(frame[i]);
  print("\n");
  stop(1);
}

static void setModelRegister(uint32_t which, uint64_t value) {
  __asm__ volatile("wrmsr" : : "c"(which), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)));
}

// The Linux numbers for x86-64; anything else is "not implemented", for which the C library has another way.
uint64_t answer(uint64_t number, uint64_t first, uint64_t second, uint64_t third) {
  enum { error = 38, fsBase = 0xc0000100, setFS = 0x1002 };
  switch (number) {
  case 1:  // write
    for (uint64_t i = 0; i < third; i++) out(0xe9, ((const char *)second)[i]);
    return third;
  case 10: return 0;  // mprotect
  case 12:            // brk
    if (first >= heapStart && first <= heapEnd) heapBreak = first;
    return heapBreak;
  case 158:  // arch_prctl
    if (first != setFS) return -(uint64_t)error;
    setModelRegister(fsBase, second);
    return 0;
  case 218: return 1;  // set_tid_address
  case 60: case 231:   // exit, exit_group
    stop(first);
  default: return -(uint64_t)error;
  }
}

void supervise(void) {
  for (uint64_t i = 0; i < 32; i++) {
    uint64_t at = (uint64_t)exceptions + 16 * i;
    gates[i].low = (at & 0xffff) | 0x08 << 16 | (uint64_t)0x8e00 << 32 | (at & 0xffff0000) << 32;
    gates[i].high = at >> 32;
  }
  gatesPointer.limit = sizeof gates - 1;
  gatesPointer.base = (uint64_t)gates;
  __asm__ volatile("lidt %0" : : "m"(gatesPointer));

  readDisk((void *)programFile, SECTORS);
  const Elf64_Ehdr *file = (const void *)programFile;
  const Elf64_Phdr *segments = (const void *)(programFile + file->e_phoff);
  if (*(const uint32_t *)file != 0x464c457f || file->e_type != ET_EXEC) print("not a static executable\n"), stop(1);
  for (int i = 0; i < file->e_phnum; i++) {
    if (segments[i].p_type != PT_LOAD) continue;
    uint64_t end = segments[i].p_vaddr + segments[i].p_memsz;
    if (end > heapEnd - 0x400000) print("the program is too large\n"), stop(1);
    memcpy((void *)segments[i].p_vaddr, (const void *)(programFile + segments[i].p_offset), segments[i].p_filesz);
    memset((void *)(segments[i].p_vaddr + segments[i].p_filesz), 0, segments[i].p_memsz - segments[i].p_filesz);
    if (end > heapStart) heapStart = end;
  }
  heapStart = heapBreak = (heapStart + 4095) & ~(uint64_t)4095;

  static const char *const arguments[] = {ARGUMENTS};
  enum { argumentCount = sizeof arguments / sizeof *arguments };
  uint64_t *stack = (uint64_t *)stackTop - 64, *top = stack;
  *top++ = argumentCount;
  for (int i = 0; i < argumentCount; i++) *top++ = (uint64_t)arguments[i];
  *top++ = 0;  // end of the arguments
  *top++ = 0;  // no environment
  const uint64_t auxiliary[] = {AT_PAGESZ, 4096, AT_RANDOM, programFile, AT_SECURE, 0, AT_NULL, 0};
  for (unsigned i = 0; i < sizeof auxiliary / sizeof *auxiliary; i++) *top++ = auxiliary[i];
  print("program starts\n");
  enter(file->e_entry, stack);
}
