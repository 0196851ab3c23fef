#!/bin/sh
# run.sh FOLDER PROGRAM ARGUMENT…: boots a PC emulated by Bochs, with AVX-512, whose only software is a small supervisor
# (start.S, supervisor.c) and the static Linux executable PROGRAM. The program's output goes to standard output and to
# FOLDER/report.txt; Bochs's own log to FOLDER/bochs.log.
set -eu
here=$(dirname "$0")
folder=$1 program=$2
shift 2
mkdir -p "$folder"
quoted='"program"'
for argument in "$@"; do quoted="$quoted,\"$argument\""; done

# The disk is the program's file. A run that was killed leaves Bochs's lock behind.
rm -f "$folder/disk.lock"
strip -o "$folder/disk" "$program"
truncate -s %512 "$folder/disk"
sectors=$(($(stat -c %s "$folder/disk") / 512))

# The read-only memory that the processor starts in.
flags="--target=x86_64-linux-gnu -Os -Wall -Wextra -ffreestanding -fno-pic -mgeneral-regs-only -mno-red-zone
  -fno-stack-protector -fno-asynchronous-unwind-tables -DSECTORS=$sectors"
for source in start.S supervisor.c; do
  ${CLANG:-clang} $flags "-DARGUMENTS=$quoted" -c "$here/$source" -o "$folder/$source.o"
done
ld -m elf_x86_64 -nostdlib -z noexecstack -T "$here/rom.ld" -o "$folder/supervisor.elf" \
  "$folder/start.S.o" "$folder/supervisor.c.o" 2>"$folder/ld.log" || { cat "$folder/ld.log"; exit 1; }
objcopy -O binary -j .rom "$folder/supervisor.elf" "$folder/rom.bin"
truncate -s 32768 "$folder/vga.bin"  # Bochs wants one

cat >"$folder/bochsrc" <<END
cpu: model=sapphire_rapids, count=1, ips=200000000, reset_on_triple_fault=0
memory: guest=64, host=64
romimage: file=$folder/rom.bin, address=0xffff0000
vgaromimage: file=$folder/vga.bin
ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14
ata0-master: type=disk, path="$folder/disk", mode=flat
port_e9_hack: enabled=1
pci: enabled=0
display_library: rfb, options="timeout=0"
sound: driver=dummy, waveoutdrv=dummy, waveindrv=dummy, midioutdrv=dummy
panic: action=fatal
error: action=report
log: $folder/bochs.log
END
# "continue", should this Bochs have its debugger built in. Bochs ends with a panic and its exit status says nothing, so
# the supervisor prints lines of its own.
bochs=$("$here/fetch-bochs.sh" "$folder/bochs-3")
echo c | timeout 1800 "$bochs" -q -f "$folder/bochsrc" 2>"$folder/bochs.err" |
  sed -u -n '/^program starts/,/^program ends/p' | tee "$folder/report.txt"
grep -q '^program ends, status 0' "$folder/report.txt" && exit
grep -q '^program ends' "$folder/report.txt" || tail -n 20 "$folder/bochs.err" "$folder/bochs.log" >&2
exit 1
