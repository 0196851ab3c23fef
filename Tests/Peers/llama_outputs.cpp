// Writes what llama.cpp computes for given token ids: logits of every position, or the hidden states of an encoder.
//
//     llama_outputs MODEL.gguf IDS.txt OUT.bin
//
// A line of IDS.txt is one text: ids with spaces between; for an encoder–decoder the encoder's, "|", the decoder's.
// OUT.bin is F32 [texts, positions, vocabulary or width]. Keys and values are kept in F32. See check_llama.py.

#include <cstdio>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "llama.h"

using Ids = std::vector<llama_token>;

// Positions count from 0, and every one of them is an output.
static llama_batch batch_of(const Ids &ids) {
  llama_batch batch = llama_batch_init(int(ids.size()), 0, 1);
  batch.n_tokens = int(ids.size());
  for (int i = 0; i < batch.n_tokens; ++i) {
    batch.token[i] = ids[i];
    batch.pos[i] = i;
    batch.n_seq_id[i] = 1;
    batch.seq_id[i][0] = 0;
    batch.logits[i] = 1;
  }
  return batch;
}

int main(int count, char **words) {
  if (count != 4) return fputs("llama_outputs MODEL.gguf IDS.txt OUT.bin\n", stderr), 2;
  llama_log_set([](ggml_log_level level, const char *text, void *) {
    if (level >= GGML_LOG_LEVEL_WARN) fputs(text, stderr);
  }, nullptr);
  llama_backend_init();
  llama_model_params model_params = llama_model_default_params();
  llama_model *model = llama_model_load_from_file(words[1], model_params);
  if (!model) return 1;

  char architecture[32] = "";
  llama_model_meta_val_str(model, "general.architecture", architecture, sizeof architecture);
  const bool has_encoder = llama_model_has_encoder(model);
  const bool has_decoder = llama_model_has_decoder(model) && std::string(architecture) != "bert";
  llama_context_params params = llama_context_default_params();
  params.n_ctx = 256;
  params.n_threads = params.n_threads_batch = 1;
  params.type_k = params.type_v = GGML_TYPE_F32;
  params.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_DISABLED;
  params.pooling_type = LLAMA_POOLING_TYPE_NONE;
  params.embeddings = !has_decoder;
  params.swa_full = true;
  llama_context *context = llama_init_from_model(model, params);
  if (!context) return 1;
  const int vocabulary = llama_vocab_n_tokens(llama_model_get_vocab(model));
  const int width = llama_model_n_embd(model);

  std::ofstream out(words[3], std::ios::binary);
  std::ifstream in(words[2]);
  for (std::string line; std::getline(in, line);) {
    Ids ids[2];
    int side = 0;
    std::istringstream reader(line);
    for (std::string word; reader >> word;) {
      if (word == "|") side = 1; else ids[side].push_back(std::stoi(word));
    }
    llama_memory_clear(llama_get_memory(context), true);
    llama_batch batch = batch_of(ids[0]);
    if (has_encoder && has_decoder) {
      if (llama_encode(context, batch)) return 1;
      llama_batch_free(batch);
      batch = batch_of(ids[1]);
    }
    if (has_decoder ? llama_decode(context, batch) : llama_encode(context, batch)) return 1;
    for (int i = 0; i < batch.n_tokens; ++i) {
      const float *values = has_decoder ? llama_get_logits_ith(context, i) : llama_get_embeddings_ith(context, i);
      if (!values) return 1;
      out.write(reinterpret_cast<const char *>(values), std::streamsize(sizeof(float)) * (has_decoder ? vocabulary : width));
    }
    llama_batch_free(batch);
  }
  llama_free(context);
  llama_model_free(model);
  return out.good() ? 0 : 1;
}
