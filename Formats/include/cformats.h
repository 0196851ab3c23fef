// The data files under Formats/, embedded at compile time.
#pragma once
#include <stddef.h>

typedef struct quern_format_file {
  const char *path;  // below Formats/: "Architectures/llama.json"
  const unsigned char *bytes;
  size_t byte_count;
} quern_format_file;

// All of them. Returns their number.
size_t quern_format_files(const quern_format_file **files);
