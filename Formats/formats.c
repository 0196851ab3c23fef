// One line per embedded file. C23's #embed costs nothing to compile; SwiftPM's own embedding takes minutes.
#include "include/cformats.h"

static const unsigned char architecture_llama[] = {
#embed "Architectures/llama.json"
};
static const unsigned char architecture_albert[] = {
#embed "Architectures/albert.json"
};
static const unsigned char architecture_bart[] = {
#embed "Architectures/bart.json"
};
static const unsigned char architecture_bert[] = {
#embed "Architectures/bert.json"
};
static const unsigned char architecture_chatglm[] = {
#embed "Architectures/chatglm.json"
};
static const unsigned char architecture_chatglm2[] = {
#embed "Architectures/chatglm2.json"
};
static const unsigned char architecture_deepseek2[] = {
#embed "Architectures/deepseek2.json"
};
static const unsigned char architecture_deepseek3[] = {
#embed "Architectures/deepseek3.json"
};
static const unsigned char architecture_distilbert[] = {
#embed "Architectures/distilbert.json"
};
static const unsigned char architecture_electra[] = {
#embed "Architectures/electra.json"
};
static const unsigned char architecture_ernie[] = {
#embed "Architectures/ernie.json"
};
static const unsigned char architecture_ernie4_5_moe[] = {
#embed "Architectures/ernie4_5-moe.json"
};
static const unsigned char architecture_ernie4_5[] = {
#embed "Architectures/ernie4_5.json"
};
static const unsigned char architecture_flan_t5[] = {
#embed "Architectures/flan-t5.json"
};
static const unsigned char architecture_gemma[] = {
#embed "Architectures/gemma.json"
};
static const unsigned char architecture_gemma2[] = {
#embed "Architectures/gemma2.json"
};
static const unsigned char architecture_gemma3[] = {
#embed "Architectures/gemma3.json"
};
static const unsigned char architecture_glm[] = {
#embed "Architectures/glm.json"
};
static const unsigned char architecture_gpt_neox[] = {
#embed "Architectures/gpt-neox.json"
};
static const unsigned char architecture_gpt2[] = {
#embed "Architectures/gpt2.json"
};
static const unsigned char architecture_mixtral[] = {
#embed "Architectures/mixtral.json"
};
static const unsigned char architecture_mpnet[] = {
#embed "Architectures/mpnet.json"
};
static const unsigned char architecture_olmo2[] = {
#embed "Architectures/olmo2.json"
};
static const unsigned char architecture_openai_gpt[] = {
#embed "Architectures/openai-gpt.json"
};
static const unsigned char architecture_pangu_alpha[] = {
#embed "Architectures/pangu-alpha.json"
};
static const unsigned char architecture_phi3[] = {
#embed "Architectures/phi3.json"
};
static const unsigned char architecture_qwen[] = {
#embed "Architectures/qwen.json"
};
static const unsigned char architecture_qwen2_moe[] = {
#embed "Architectures/qwen2-moe.json"
};
static const unsigned char architecture_qwen2[] = {
#embed "Architectures/qwen2.json"
};
static const unsigned char architecture_qwen3_moe[] = {
#embed "Architectures/qwen3-moe.json"
};
static const unsigned char architecture_qwen3[] = {
#embed "Architectures/qwen3.json"
};
static const unsigned char architecture_roberta[] = {
#embed "Architectures/roberta.json"
};
static const unsigned char architecture_stablelm[] = {
#embed "Architectures/stablelm.json"
};
static const unsigned char architecture_t5[] = {
#embed "Architectures/t5.json"
};
static const unsigned char architecture_xlnet[] = {
#embed "Architectures/xlnet.json"
};
static const unsigned char configuration_options[] = {
#embed "Configuration/options.json"
};
static const unsigned char recipe_f32[] = {
#embed "Recipes/f32.json"
};
static const unsigned char recipe_f16[] = {
#embed "Recipes/f16.json"
};
static const unsigned char recipe_bf16[] = {
#embed "Recipes/bf16.json"
};
static const unsigned char recipe_q8_0[] = {
#embed "Recipes/q8_0.json"
};
static const unsigned char recipe_q5_1[] = {
#embed "Recipes/q5_1.json"
};
static const unsigned char recipe_q5_0[] = {
#embed "Recipes/q5_0.json"
};
static const unsigned char recipe_q4_1[] = {
#embed "Recipes/q4_1.json"
};
static const unsigned char recipe_q4_0[] = {
#embed "Recipes/q4_0.json"
};
static const unsigned char recipe_q6_k[] = {
#embed "Recipes/q6_k.json"
};
static const unsigned char recipe_q5_k_m[] = {
#embed "Recipes/q5_k_m.json"
};
static const unsigned char recipe_q5_k_s[] = {
#embed "Recipes/q5_k_s.json"
};
static const unsigned char recipe_q4_k_m[] = {
#embed "Recipes/q4_k_m.json"
};
static const unsigned char recipe_q4_k_s[] = {
#embed "Recipes/q4_k_s.json"
};
static const unsigned char recipe_q3_k_l[] = {
#embed "Recipes/q3_k_l.json"
};
static const unsigned char recipe_q3_k_m[] = {
#embed "Recipes/q3_k_m.json"
};
static const unsigned char recipe_q3_k_s[] = {
#embed "Recipes/q3_k_s.json"
};
static const unsigned char recipe_q2_k[] = {
#embed "Recipes/q2_k.json"
};
static const unsigned char recipe_q2_k_s[] = {
#embed "Recipes/q2_k_s.json"
};
static const unsigned char recipe_iq4_nl[] = {
#embed "Recipes/iq4_nl.json"
};
static const unsigned char recipe_iq4_xs[] = {
#embed "Recipes/iq4_xs.json"
};
static const unsigned char recipe_iq3_m[] = {
#embed "Recipes/iq3_m.json"
};
static const unsigned char recipe_iq3_s[] = {
#embed "Recipes/iq3_s.json"
};
static const unsigned char recipe_iq3_xs[] = {
#embed "Recipes/iq3_xs.json"
};
static const unsigned char recipe_iq3_xxs[] = {
#embed "Recipes/iq3_xxs.json"
};
static const unsigned char recipe_iq2_m[] = {
#embed "Recipes/iq2_m.json"
};
static const unsigned char recipe_iq2_s[] = {
#embed "Recipes/iq2_s.json"
};
static const unsigned char recipe_iq2_xs[] = {
#embed "Recipes/iq2_xs.json"
};
static const unsigned char recipe_iq2_xxs[] = {
#embed "Recipes/iq2_xxs.json"
};
static const unsigned char recipe_q2_0[] = {
#embed "Recipes/q2_0.json"
};
static const unsigned char recipe_tq1_0[] = {
#embed "Recipes/tq1_0.json"
};
static const unsigned char recipe_tq2_0[] = {
#embed "Recipes/tq2_0.json"
};
static const unsigned char recipe_mxfp4_moe[] = {
#embed "Recipes/mxfp4_moe.json"
};
static const unsigned char recipe_gptq_int4_g128[] = {
#embed "Recipes/gptq-int4-g128.json"
};
static const unsigned char recipe_gptq_int4_g64[] = {
#embed "Recipes/gptq-int4-g64.json"
};
static const unsigned char recipe_gptq_int4_g32[] = {
#embed "Recipes/gptq-int4-g32.json"
};
static const unsigned char recipe_awq_int4[] = {
#embed "Recipes/awq-int4.json"
};
static const unsigned char recipe_w8a8[] = {
#embed "Recipes/w8a8.json"
};
static const unsigned char recipe_nf4[] = {
#embed "Recipes/nf4.json"
};
static const unsigned char recipe_int8[] = {
#embed "Recipes/int8.json"
};
static const unsigned char recipe_int4_max[] = {
#embed "Recipes/int4-max.json"
};
static const unsigned char recipe_int4[] = {
#embed "Recipes/int4.json"
};
static const unsigned char quantization_tensors[] = {
#embed "Quantization/tensors.json"
};
static const unsigned char profile_quern[] = {
#embed "Profiles/quern.json"
};
static const unsigned char profile_llama_cpp[] = {
#embed "Profiles/llama.cpp.json"
};
static const unsigned char profile_llama_server[] = {
#embed "Profiles/llama-server.json"
};
static const unsigned char profile_transformers[] = {
#embed "Profiles/transformers.json"
};
static const unsigned char profile_transformers_4_44[] = {
#embed "Profiles/transformers-4.44.json"
};
static const unsigned char profile_chatglm[] = {
#embed "Profiles/chatglm.json"
};
static const unsigned char profile_vllm[] = {
#embed "Profiles/vllm.json"
};
static const unsigned char devices_consumer[] = {
#embed "Devices/consumer.csv"
};
static const unsigned char devices_workstation[] = {
#embed "Devices/workstation.csv"
};
static const unsigned char devices_datacenter[] = {
#embed "Devices/datacenter.csv"
};
static const unsigned char devices_accelerator[] = {
#embed "Devices/accelerator.csv"
};
static const unsigned char devices_apple[] = {
#embed "Devices/apple.csv"
};
static const unsigned char devices_embedded[] = {
#embed "Devices/embedded.csv"
};
static const unsigned char devices_host[] = {
#embed "Devices/host.csv"
};
static const unsigned char checkpoints_bert[] = {
#embed "Checkpoints/bert.json"
};
static const unsigned char checkpoints_chatglm[] = {
#embed "Checkpoints/chatglm.json"
};
static const unsigned char checkpoints_chatglm2[] = {
#embed "Checkpoints/chatglm2.json"
};
static const unsigned char checkpoints_deepseek2[] = {
#embed "Checkpoints/deepseek2.json"
};
static const unsigned char checkpoints_flan_t5[] = {
#embed "Checkpoints/flan-t5.json"
};
static const unsigned char checkpoints_glm[] = {
#embed "Checkpoints/glm.json"
};
static const unsigned char checkpoints_gpt[] = {
#embed "Checkpoints/gpt.json"
};
static const unsigned char checkpoints_gpt2[] = {
#embed "Checkpoints/gpt2.json"
};
static const unsigned char checkpoints_llama[] = {
#embed "Checkpoints/llama.json"
};
static const unsigned char checkpoints_mixtral[] = {
#embed "Checkpoints/mixtral.json"
};
static const unsigned char checkpoints_pangu_alpha[] = {
#embed "Checkpoints/pangu-alpha.json"
};
static const unsigned char checkpoints_pangu_sigma[] = {
#embed "Checkpoints/pangu-sigma.json"
};
static const unsigned char checkpoints_qwen2[] = {
#embed "Checkpoints/qwen2.json"
};
static const unsigned char checkpoints_qwen3[] = {
#embed "Checkpoints/qwen3.json"
};
static const unsigned char checkpoints_qwen3moe[] = {
#embed "Checkpoints/qwen3moe.json"
};
static const unsigned char checkpoints_t5[] = {
#embed "Checkpoints/t5.json"
};
static const unsigned char network_vgg16[] = {
#embed "Networks/vgg16.json"
};

#define FILE_ROW(path, bytes) {path, bytes, sizeof bytes}
static const quern_format_file files[] = {
    FILE_ROW("Architectures/llama.json", architecture_llama),
    FILE_ROW("Architectures/albert.json", architecture_albert),
    FILE_ROW("Architectures/bart.json", architecture_bart),
    FILE_ROW("Architectures/bert.json", architecture_bert),
    FILE_ROW("Architectures/chatglm.json", architecture_chatglm),
    FILE_ROW("Architectures/chatglm2.json", architecture_chatglm2),
    FILE_ROW("Architectures/deepseek2.json", architecture_deepseek2),
    FILE_ROW("Architectures/deepseek3.json", architecture_deepseek3),
    FILE_ROW("Architectures/distilbert.json", architecture_distilbert),
    FILE_ROW("Architectures/electra.json", architecture_electra),
    FILE_ROW("Architectures/ernie.json", architecture_ernie),
    FILE_ROW("Architectures/ernie4_5-moe.json", architecture_ernie4_5_moe),
    FILE_ROW("Architectures/ernie4_5.json", architecture_ernie4_5),
    FILE_ROW("Architectures/flan-t5.json", architecture_flan_t5),
    FILE_ROW("Architectures/gemma.json", architecture_gemma),
    FILE_ROW("Architectures/gemma2.json", architecture_gemma2),
    FILE_ROW("Architectures/gemma3.json", architecture_gemma3),
    FILE_ROW("Architectures/glm.json", architecture_glm),
    FILE_ROW("Architectures/gpt-neox.json", architecture_gpt_neox),
    FILE_ROW("Architectures/gpt2.json", architecture_gpt2),
    FILE_ROW("Architectures/mixtral.json", architecture_mixtral),
    FILE_ROW("Architectures/mpnet.json", architecture_mpnet),
    FILE_ROW("Architectures/olmo2.json", architecture_olmo2),
    FILE_ROW("Architectures/openai-gpt.json", architecture_openai_gpt),
    FILE_ROW("Architectures/pangu-alpha.json", architecture_pangu_alpha),
    FILE_ROW("Architectures/phi3.json", architecture_phi3),
    FILE_ROW("Architectures/qwen.json", architecture_qwen),
    FILE_ROW("Architectures/qwen2-moe.json", architecture_qwen2_moe),
    FILE_ROW("Architectures/qwen2.json", architecture_qwen2),
    FILE_ROW("Architectures/qwen3-moe.json", architecture_qwen3_moe),
    FILE_ROW("Architectures/qwen3.json", architecture_qwen3),
    FILE_ROW("Architectures/roberta.json", architecture_roberta),
    FILE_ROW("Architectures/stablelm.json", architecture_stablelm),
    FILE_ROW("Architectures/t5.json", architecture_t5),
    FILE_ROW("Architectures/xlnet.json", architecture_xlnet),
    FILE_ROW("Configuration/options.json", configuration_options),
    FILE_ROW("Recipes/f32.json", recipe_f32),
    FILE_ROW("Recipes/f16.json", recipe_f16),
    FILE_ROW("Recipes/bf16.json", recipe_bf16),
    FILE_ROW("Recipes/q8_0.json", recipe_q8_0),
    FILE_ROW("Recipes/q5_1.json", recipe_q5_1),
    FILE_ROW("Recipes/q5_0.json", recipe_q5_0),
    FILE_ROW("Recipes/q4_1.json", recipe_q4_1),
    FILE_ROW("Recipes/q4_0.json", recipe_q4_0),
    FILE_ROW("Recipes/q6_k.json", recipe_q6_k),
    FILE_ROW("Recipes/q5_k_m.json", recipe_q5_k_m),
    FILE_ROW("Recipes/q5_k_s.json", recipe_q5_k_s),
    FILE_ROW("Recipes/q4_k_m.json", recipe_q4_k_m),
    FILE_ROW("Recipes/q4_k_s.json", recipe_q4_k_s),
    FILE_ROW("Recipes/q3_k_l.json", recipe_q3_k_l),
    FILE_ROW("Recipes/q3_k_m.json", recipe_q3_k_m),
    FILE_ROW("Recipes/q3_k_s.json", recipe_q3_k_s),
    FILE_ROW("Recipes/q2_k.json", recipe_q2_k),
    FILE_ROW("Recipes/q2_k_s.json", recipe_q2_k_s),
    FILE_ROW("Recipes/iq4_nl.json", recipe_iq4_nl),
    FILE_ROW("Recipes/iq4_xs.json", recipe_iq4_xs),
    FILE_ROW("Recipes/iq3_m.json", recipe_iq3_m),
    FILE_ROW("Recipes/iq3_s.json", recipe_iq3_s),
    FILE_ROW("Recipes/iq3_xs.json", recipe_iq3_xs),
    FILE_ROW("Recipes/iq3_xxs.json", recipe_iq3_xxs),
    FILE_ROW("Recipes/iq2_m.json", recipe_iq2_m),
    FILE_ROW("Recipes/iq2_s.json", recipe_iq2_s),
    FILE_ROW("Recipes/iq2_xs.json", recipe_iq2_xs),
    FILE_ROW("Recipes/iq2_xxs.json", recipe_iq2_xxs),
    FILE_ROW("Recipes/q2_0.json", recipe_q2_0),
    FILE_ROW("Recipes/tq1_0.json", recipe_tq1_0),
    FILE_ROW("Recipes/tq2_0.json", recipe_tq2_0),
    FILE_ROW("Recipes/mxfp4_moe.json", recipe_mxfp4_moe),
    FILE_ROW("Recipes/gptq-int4-g128.json", recipe_gptq_int4_g128),
    FILE_ROW("Recipes/gptq-int4-g64.json", recipe_gptq_int4_g64),
    FILE_ROW("Recipes/gptq-int4-g32.json", recipe_gptq_int4_g32),
    FILE_ROW("Recipes/awq-int4.json", recipe_awq_int4),
    FILE_ROW("Recipes/w8a8.json", recipe_w8a8),
    FILE_ROW("Recipes/nf4.json", recipe_nf4),
    FILE_ROW("Recipes/int8.json", recipe_int8),
    FILE_ROW("Recipes/int4.json", recipe_int4),
    FILE_ROW("Recipes/int4-max.json", recipe_int4_max),
    FILE_ROW("Quantization/tensors.json", quantization_tensors),
    FILE_ROW("Profiles/quern.json", profile_quern),
    FILE_ROW("Profiles/llama.cpp.json", profile_llama_cpp),
    FILE_ROW("Profiles/llama-server.json", profile_llama_server),
    FILE_ROW("Profiles/transformers.json", profile_transformers),
    FILE_ROW("Profiles/transformers-4.44.json", profile_transformers_4_44),
    FILE_ROW("Profiles/chatglm.json", profile_chatglm),
    FILE_ROW("Profiles/vllm.json", profile_vllm),
    FILE_ROW("Devices/consumer.csv", devices_consumer),
    FILE_ROW("Devices/workstation.csv", devices_workstation),
    FILE_ROW("Devices/datacenter.csv", devices_datacenter),
    FILE_ROW("Devices/accelerator.csv", devices_accelerator),
    FILE_ROW("Devices/apple.csv", devices_apple),
    FILE_ROW("Devices/embedded.csv", devices_embedded),
    FILE_ROW("Devices/host.csv", devices_host),
    FILE_ROW("Checkpoints/bert.json", checkpoints_bert),
    FILE_ROW("Checkpoints/chatglm.json", checkpoints_chatglm),
    FILE_ROW("Checkpoints/chatglm2.json", checkpoints_chatglm2),
    FILE_ROW("Checkpoints/deepseek2.json", checkpoints_deepseek2),
    FILE_ROW("Checkpoints/flan-t5.json", checkpoints_flan_t5),
    FILE_ROW("Checkpoints/glm.json", checkpoints_glm),
    FILE_ROW("Checkpoints/gpt.json", checkpoints_gpt),
    FILE_ROW("Checkpoints/gpt2.json", checkpoints_gpt2),
    FILE_ROW("Checkpoints/llama.json", checkpoints_llama),
    FILE_ROW("Checkpoints/mixtral.json", checkpoints_mixtral),
    FILE_ROW("Checkpoints/pangu-alpha.json", checkpoints_pangu_alpha),
    FILE_ROW("Checkpoints/pangu-sigma.json", checkpoints_pangu_sigma),
    FILE_ROW("Checkpoints/qwen2.json", checkpoints_qwen2),
    FILE_ROW("Checkpoints/qwen3.json", checkpoints_qwen3),
    FILE_ROW("Checkpoints/qwen3moe.json", checkpoints_qwen3moe),
    FILE_ROW("Checkpoints/t5.json", checkpoints_t5),
    FILE_ROW("Networks/vgg16.json", network_vgg16),
};

size_t quern_format_files(const quern_format_file **out) {
  *out = files;
  return sizeof files / sizeof *files;
}
