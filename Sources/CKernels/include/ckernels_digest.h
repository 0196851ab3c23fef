// SHA-256 (FIPS 180-4), for provenance: which files a model was made from.
#pragma once
#include <stddef.h>
#include <stdint.h>

// Works `blockCount` blocks of 64 bytes into the state, with the processor's own instructions where it has them.
void quern_sha256_blocks(uint32_t state[8], const uint8_t *bytes, size_t blockCount);
// The same in plain C, to compare with.
void quern_sha256_blocks_plain(uint32_t state[8], const uint8_t *bytes, size_t blockCount);
