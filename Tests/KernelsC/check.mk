# Kernel tables against the generic one, on this processor and on emulated others.
#
#   make check-native   every table that this processor runs
#   make check-sanitized   the same with the address and undefined-behavior sanitizers, which also see stray reads
#   make check-arm      the NEON table under qemu-aarch64
#   make check-avx512   the AVX-512 table: here if the processor has it, else in a machine emulated by Bochs
#
# The last two also compare all digests with those of the generic table here. Missing Debian packages are installed by
# apt, as root or through sudo.

KERNELS_DIR ?= Sources/CKernels
KERNELS_CHECK := Tests/KernelsC
KERNELS_BUILD ?= .build/kernels-check
KERNELS_CLANG ?= clang
KERNELS_CFLAGS := -std=gnu2x -O3 -Wall -Wextra -I$(KERNELS_DIR)/include
KERNELS_OBJECTS := $(patsubst $(KERNELS_DIR)/%.c,%.o,$(wildcard $(KERNELS_DIR)/*.c)) \
  $(patsubst $(KERNELS_CHECK)/%.c,runner/%.o,$(wildcard $(KERNELS_CHECK)/*.c))
KERNELS_HEADERS := $(wildcard $(KERNELS_DIR)/*.h $(KERNELS_DIR)/include/*.h $(KERNELS_CHECK)/*.h)

.PHONY: check-native check-sanitized check-arm check-avx512 check-avx512-emulated

# MARK: this processor

NATIVE := $(KERNELS_BUILD)/native

$(NATIVE)/%.o: $(KERNELS_DIR)/%.c $(KERNELS_HEADERS)
	@mkdir -p $(@D)
	$(KERNELS_CLANG) $(KERNELS_CFLAGS) -c $< -o $@
$(NATIVE)/runner/%.o: $(KERNELS_CHECK)/%.c $(KERNELS_HEADERS)
	@mkdir -p $(@D)
	$(KERNELS_CLANG) $(KERNELS_CFLAGS) -ffp-contract=off -c $< -o $@
# Static and at a fixed address, so that the same file runs in the emulated machine.
$(NATIVE)/check: $(addprefix $(NATIVE)/,$(KERNELS_OBJECTS))
	$(KERNELS_CLANG) -static $^ -lm -o $@
$(NATIVE)/generic.txt: $(NATIVE)/check
	$< --table generic >$@ || { cat $@; rm $@; exit 1; }

check-native: $(NATIVE)/check ## Every kernel table this processor runs against the generic one
	$<

SANITIZED := $(KERNELS_BUILD)/sanitized

$(SANITIZED)/check: $(wildcard $(KERNELS_DIR)/*.c $(KERNELS_CHECK)/*.c) $(KERNELS_HEADERS)
	@mkdir -p $(@D)
	$(KERNELS_CLANG) $(subst -O3,-O1 -g,$(KERNELS_CFLAGS)) -fuse-ld=lld -fsanitize=address,undefined \
	  -fno-sanitize-recover=undefined \
	  $(filter %.c,$^) -lm -o $@

check-sanitized: $(SANITIZED)/check ## The same with the address and undefined-behavior sanitizers
	$<

# MARK: arm64

ARM := $(KERNELS_BUILD)/arm64
ARM_CLANG := $(KERNELS_CLANG) --target=aarch64-linux-gnu -isystem /usr/aarch64-linux-gnu/include

$(ARM)/packages:
	@$(KERNELS_CHECK)/install.sh gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user
	@mkdir -p $(@D) && touch $@
$(ARM)/%.o: $(KERNELS_DIR)/%.c $(KERNELS_HEADERS) | $(ARM)/packages
	@mkdir -p $(@D)
	$(ARM_CLANG) $(KERNELS_CFLAGS) -c $< -o $@
$(ARM)/runner/%.o: $(KERNELS_CHECK)/%.c $(KERNELS_HEADERS) | $(ARM)/packages
	@mkdir -p $(@D)
	$(ARM_CLANG) $(KERNELS_CFLAGS) -ffp-contract=off -c $< -o $@
$(ARM)/check: $(addprefix $(ARM)/,$(KERNELS_OBJECTS))
	aarch64-linux-gnu-gcc -static $^ -lm -o $@

check-arm: $(ARM)/check $(NATIVE)/generic.txt ## The NEON kernels under qemu-aarch64
	qemu-aarch64 $< >$(ARM)/report.txt; status=$$?; cat $(ARM)/report.txt; exit $$status
	@awk -f $(KERNELS_CHECK)/digests.awk $(NATIVE)/generic.txt $(ARM)/report.txt

# MARK: AVX-512

check-avx512: $(NATIVE)/check ## The AVX-512 kernels, here or under Bochs
	@if $< --has avx512; then $< --table avx512; else $(MAKE) --no-print-directory -f $(firstword $(MAKEFILE_LIST)) check-avx512-emulated; fi

check-avx512-emulated: $(NATIVE)/check $(NATIVE)/generic.txt
	CLANG=$(KERNELS_CLANG) $(KERNELS_CHECK)/machine/run.sh $(KERNELS_BUILD)/machine $< --table avx512
	@awk -f $(KERNELS_CHECK)/digests.awk $(NATIVE)/generic.txt $(KERNELS_BUILD)/machine/report.txt
