// One line per embedded file. C23's #embed costs nothing to compile; SwiftPM's own embedding takes minutes.
#include "include/cformats.h"

static const unsigned char architecture_llama[] = {
#embed "Architectures/llama.json"
};

#define FILE_ROW(path, bytes) {path, bytes, sizeof bytes}
static const quern_format_file files[] = {
    FILE_ROW("Architectures/llama.json", architecture_llama),
};

size_t quern_format_files(const quern_format_file **out) {
  *out = files;
  return sizeof files / sizeof *files;
}
