"""Writes the conformance cases of every family whose names begin with v-: options that released configs use.

    python make_family_conformance.py [NAME…]        (torch 2, transformers 5, safetensors)

A case is a tiny random model as config.json and model.safetensors (or pytorch_model.bin), and golden.safetensors: the
input_ids [2, 16] (token_type_ids, task_type_ids, decoder_input_ids where the case has them) with the logits or
last_hidden_state and pooler_output that transformers computes in F32 from the stored weights. Old keys are those that
releases before rope_parameters wrote, as most published configs have them.

transformers has neither ChatGLM-6B nor PanGu-α nor the first Qwen: family_references.py computes those, after the
published modelling code.
"""

import json
import pathlib
import shutil
import sys
import tempfile

import torch
import transformers as T
from safetensors.torch import load_file, save_file

import family_references

ROOT = pathlib.Path(__file__).resolve().parent.parent / "conformance"
VOCABULARY = 64
DTYPES = (torch.float16, torch.bfloat16)


def decoder(**changes):
    return dict(
        dict(vocab_size=VOCABULARY, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
             num_key_value_heads=2, max_position_embeddings=64, pad_token_id=0, bos_token_id=1, eos_token_id=2), **changes)


def encoder(**changes):
    return dict(
        dict(vocab_size=VOCABULARY, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
             max_position_embeddings=40, type_vocab_size=2, pad_token_id=0), **changes)


def t5(**changes):
    return dict(
        dict(vocab_size=VOCABULARY, d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4, decoder_start_token_id=0),
        **changes)


CASES = {}


def case(name, model, config, **options):
    """options: kind (causal, encoder, logits, xlnet, seq2seq), old (keys of old releases), dtype, store (bin), fused (experts),
    inputs (extra inputs), length, edit (a function of config.json), before (a function of the model)."""
    CASES["v-" + name] = (model, config, options)


def rope(kind="default", theta=10000.0, **more):
    return dict(rope_type=kind, rope_theta=theta, **more)


def causal(name, prefix, config, **options):
    case(name, getattr(T, prefix + "ForCausalLM"), getattr(T, prefix + "Config")(**config), **options)


# Llama and its relatives.
causal("llama-dynamic-long", "Llama", decoder(
    max_position_embeddings=8, rope_parameters=rope("dynamic", factor=4.0)), old=True)
causal("llama-dynamic-short", "Llama", decoder(
    max_position_embeddings=32, rope_parameters=rope("dynamic", factor=2.0)))
causal("llama-yarn-factor", "Llama", decoder(
    tie_word_embeddings=True, rope_parameters=rope(
        "yarn", factor=4.0, original_max_position_embeddings=16, attention_factor=1.3)), old=True)
causal("llama-yarn-plain", "Llama", decoder(rope_parameters=rope(
    "yarn", factor=8.0, original_max_position_embeddings=8)))
causal("llama-mlp-bias", "Llama", decoder(mlp_bias=True, num_key_value_heads=4, rms_norm_eps=1e-3), old=True)
causal("llama-gelu", "Llama", decoder(hidden_act="gelu", attention_bias=True))
causal("mistral-head-dim", "Mistral", decoder(head_dim=16, sliding_window=None), old=True)
causal("mixtral-window-tied", "Mixtral", decoder(
    num_local_experts=5, num_experts_per_tok=3, sliding_window=6, tie_word_embeddings=True), old=True, dtype=torch.bfloat16)
causal("qwen2-window", "Qwen2", decoder(
    num_hidden_layers=3, use_sliding_window=True, sliding_window=5, max_window_layers=1), old=True)
causal("qwen2-window-new", "Qwen2", decoder(
    num_hidden_layers=3, use_sliding_window=True, sliding_window=5, max_window_layers=2))
causal("qwen2-window-unused", "Qwen2", decoder(use_sliding_window=False, sliding_window=4, max_window_layers=0), old=True)
causal("qwen2-yarn", "Qwen2", decoder(
    tie_word_embeddings=False, rope_parameters=rope("yarn", 1000000.0, factor=4.0, original_max_position_embeddings=16)),
    old=True)
causal("qwen3-tied-bias", "Qwen3", decoder(head_dim=12, attention_bias=True, tie_word_embeddings=True), old=True)
causal("qwen3-window", "Qwen3", decoder(
    head_dim=8, num_hidden_layers=3, use_sliding_window=True, sliding_window=5, max_window_layers=1))
causal("qwen3-moe-steps", "Qwen3Moe", decoder(
    head_dim=8, num_hidden_layers=4, num_experts=5, num_experts_per_tok=2, moe_intermediate_size=32, decoder_sparse_step=2,
    mlp_only_layers=[3], norm_topk_prob=False), old=True)
causal("qwen3-moe-mlp-only", "Qwen3Moe", decoder(
    head_dim=8, num_experts=4, num_experts_per_tok=3, moe_intermediate_size=32, mlp_only_layers=[0], norm_topk_prob=True,
    tie_word_embeddings=True))
causal("qwen2-moe-norm", "Qwen2Moe", decoder(
    num_experts=4, num_experts_per_tok=2, moe_intermediate_size=32, shared_expert_intermediate_size=64, norm_topk_prob=True))
causal("qwen2-moe-steps", "Qwen2Moe", decoder(
    num_hidden_layers=3, num_experts=4, num_experts_per_tok=2, moe_intermediate_size=32, shared_expert_intermediate_size=32,
    decoder_sparse_step=2, norm_topk_prob=False, tie_word_embeddings=True), old=True)
causal("gemma-heads", "Gemma", decoder(head_dim=16, num_key_value_heads=4, rms_norm_eps=1e-5), old=True)
causal("gemma2-odd", "Gemma2", decoder(
    head_dim=12, num_hidden_layers=3, sliding_window=5, query_pre_attn_scalar=20, attn_logit_softcapping=3.0,
    final_logit_softcapping=2.0), old=True)
causal("gemma2-no-caps", "Gemma2", decoder(
    head_dim=8, num_hidden_layers=2, sliding_window=6, query_pre_attn_scalar=32, attn_logit_softcapping=None,
    final_logit_softcapping=None))
case("gemma3-linear", T.Gemma3ForCausalLM, T.Gemma3TextConfig(**decoder(
    head_dim=8, num_hidden_layers=4, sliding_window=5, query_pre_attn_scalar=12, sliding_window_pattern=3,
    rope_parameters=dict(full_attention=rope("linear", 1000000.0, factor=8.0), sliding_attention=rope()))), old=True,
    edit=lambda values: values.update(sliding_window_pattern=3))
case("gemma3-types", T.Gemma3ForCausalLM, T.Gemma3TextConfig(**decoder(
    head_dim=16, num_hidden_layers=3, sliding_window=5, query_pre_attn_scalar=16, final_logit_softcapping=4.0,
    layer_types=["full_attention", "sliding_attention", "full_attention"],
    rope_parameters=dict(full_attention=rope("linear", 500000.0, factor=4.0), sliding_attention=rope(theta=5000.0)))))
LONG = dict(short_factor=[1.0, 1.25, 1.5, 2.5], long_factor=[1.5, 3.0, 6.0, 9.0])
for length in (16, 6):
    causal(f"phi3-longrope-{length}", "Phi3", decoder(
        max_position_embeddings=32, original_max_position_embeddings=8, rope_parameters=rope("longrope", **LONG)),
        old=length == 16, length=length)
HALF = dict(short_factor=[1.0, 1.5], long_factor=[2.0, 6.0])
causal("phi3-partial", "Phi3", decoder(
    partial_rotary_factor=0.5, max_position_embeddings=32, original_max_position_embeddings=8, sliding_window=7,
    tie_word_embeddings=True, rope_parameters=rope("longrope", partial_rotary_factor=0.5, **HALF)), old=True)
causal("phi3-partial-plain", "Phi3", decoder(
    num_key_value_heads=4, rope_parameters=rope(partial_rotary_factor=0.75)), old=False)
causal("olmo2", "Olmo2", decoder(num_key_value_heads=4))
causal("olmo2-grouped-bias", "Olmo2", decoder(attention_bias=True, tie_word_embeddings=True, num_hidden_layers=3), old=True)
causal("stablelm", "StableLm", decoder(
    use_qkv_bias=True, rope_parameters=rope(partial_rotary_factor=0.25), num_key_value_heads=4), old=True)
causal("stablelm-parallel", "StableLm", decoder(
    use_parallel_residual=True, rope_parameters=rope(partial_rotary_factor=0.5)))
causal("stablelm-parallel-norms", "StableLm", decoder(
    use_parallel_residual=True, qk_layernorm=True, rope_parameters=rope(partial_rotary_factor=0.5)), old=True)
causal("glm-partial", "Glm", decoder(
    head_dim=16, attention_bias=False, tie_word_embeddings=True, rope_parameters=rope(partial_rotary_factor=0.25)), old=True)
causal("glm-whole", "Glm", decoder(head_dim=8, attention_bias=True, rope_parameters=rope(partial_rotary_factor=1.0)))
causal("ernie4_5-untied-bias", "Ernie4_5", decoder(head_dim=8, tie_word_embeddings=False, use_bias=True), old=True)
causal("ernie4_5-moe-interval", "Ernie4_5_Moe", decoder(
    num_hidden_layers=4, moe_num_experts=4, moe_k=2, moe_intermediate_size=32, moe_num_shared_experts=0,
    moe_layer_start_index=1, moe_layer_end_index=3, moe_layer_interval=2, tie_word_embeddings=False),
    dtype=torch.float16)
causal("ernie4_5-moe-end", "Ernie4_5_Moe", decoder(
    num_hidden_layers=3, moe_num_experts=4, moe_k=2, moe_intermediate_size=32, moe_num_shared_experts=2,
    moe_layer_start_index=0, moe_layer_end_index=1, moe_layer_interval=1), old=True)

LATENT = dict(
    num_key_value_heads=4, kv_lora_rank=16, qk_nope_head_dim=8, qk_rope_head_dim=4, v_head_dim=8, num_experts_per_tok=2,
    moe_intermediate_size=32, first_k_dense_replace=1)
causal("deepseek-v3-yarn", "DeepseekV3", decoder(
    **LATENT, q_lora_rank=None, n_routed_experts=8, n_shared_experts=2, n_group=4, topk_group=2, norm_topk_prob=False,
    routed_scaling_factor=2.5, rope_parameters=rope(
        "yarn", factor=4.0, original_max_position_embeddings=16, beta_fast=32, beta_slow=1, mscale=1.0,
        mscale_all_dim=1.0)), old=True)
causal("deepseek-v3-mscale", "DeepseekV3", decoder(
    **LATENT, q_lora_rank=16, n_routed_experts=6, n_shared_experts=1, n_group=1, topk_group=1, norm_topk_prob=True,
    routed_scaling_factor=1.0, rope_parameters=rope(
        "yarn", factor=8.0, original_max_position_embeddings=8, beta_fast=8, beta_slow=1, mscale=1.0,
        mscale_all_dim=0.7)))
causal("deepseek-v2-greedy", "DeepseekV2", decoder(
    **LATENT, q_lora_rank=None, n_routed_experts=6, n_shared_experts=2, topk_method="greedy", routed_scaling_factor=1.0),
    old=True)
causal("deepseek-v2-groups", "DeepseekV2", decoder(
    **LATENT, q_lora_rank=16, n_routed_experts=8, n_shared_experts=1, topk_method="group_limited_greedy", n_group=4,
    topk_group=2, routed_scaling_factor=4.0, rope_parameters=rope(
        "yarn", factor=4.0, original_max_position_embeddings=16, beta_fast=32, beta_slow=1, mscale=0.707,
        mscale_all_dim=0.707)), old=True)

# GPTs.
case("gpt2-inner-relu", T.GPT2LMHeadModel, T.GPT2Config(
    vocab_size=VOCABULARY, n_embd=32, n_layer=2, n_head=4, n_positions=32, n_inner=48, activation_function="relu",
    layer_norm_epsilon=1e-3))
case("gpt2-untied", T.GPT2LMHeadModel, T.GPT2Config(
    vocab_size=VOCABULARY, n_embd=32, n_layer=2, n_head=2, n_positions=20, tie_word_embeddings=False), old=True)
case("openai-gpt-relu", T.OpenAIGPTLMHeadModel, T.OpenAIGPTConfig(
    vocab_size=VOCABULARY, n_embd=32, n_layer=2, n_head=4, n_positions=32, afn="relu"), old=True)


def neox(**changes):
    values = dict(
        vocab_size=VOCABULARY, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        max_position_embeddings=32, bos_token_id=1, eos_token_id=2)
    return dict(values, **changes)


causal("gpt-neox-serial", "GPTNeoX", neox(
    use_parallel_residual=False, rope_parameters=rope(partial_rotary_factor=1.0)), old=True)
causal("gpt-neox-linear", "GPTNeoX", neox(
    hidden_act="gelu_new", rope_parameters=rope("linear", factor=4.0, partial_rotary_factor=0.5)), old=True)
causal("gpt-neox-dynamic", "GPTNeoX", neox(
    max_position_embeddings=8, tie_word_embeddings=True, attention_bias=False,
    rope_parameters=rope("dynamic", factor=2.0, partial_rotary_factor=1.0)))

# Encoders.
case("bert-pooled-types", T.BertModel, T.BertConfig(**encoder(hidden_act="gelu_new")), kind="encoder", inputs=["token_type_ids"])
case("bert-no-pooler", lambda config: T.BertModel(config, add_pooling_layer=False), T.BertConfig(
    **encoder(hidden_act="relu")), kind="encoder", old=True)
case("bert-classifier", T.BertForSequenceClassification, T.BertConfig(**encoder(num_labels=3)), kind="logits",
     inputs=["token_type_ids"], old=True)
case("bert-untied", T.BertForMaskedLM, T.BertConfig(**encoder(tie_word_embeddings=False, layer_norm_eps=1e-3)), kind="logits")
case("bert-types-3", T.BertForMaskedLM, T.BertConfig(**encoder(type_vocab_size=3)), kind="logits", store="bin",
     inputs=["token_type_ids"])
case("xlm-roberta", T.XLMRobertaForMaskedLM, T.XLMRobertaConfig(**encoder(type_vocab_size=1, pad_token_id=1)),
     kind="logits", store="bin")
case("xlm-roberta-offset", T.XLMRobertaModel, T.XLMRobertaConfig(**encoder(type_vocab_size=1, pad_token_id=3)),
     kind="encoder", old=True)
case("roberta-classifier", T.RobertaForSequenceClassification, T.RobertaConfig(
    **encoder(type_vocab_size=1, pad_token_id=1, num_labels=2)), kind="logits")
case("roberta-pooled", T.RobertaModel, T.RobertaConfig(**encoder(type_vocab_size=1, pad_token_id=1)), kind="encoder",
     dtype=torch.float32)
ALBERT = dict(embedding_size=24, hidden_act="gelu_new")
case("albert-groups", T.AlbertForMaskedLM, T.AlbertConfig(
    **encoder(num_hidden_layers=4, num_hidden_groups=2, inner_group_num=2, **ALBERT)), kind="logits", old=True)
case("albert-base", T.AlbertModel, T.AlbertConfig(**encoder(num_hidden_layers=3, **ALBERT)), kind="encoder",
     inputs=["token_type_ids"])
case("albert-classifier", T.AlbertForSequenceClassification, T.AlbertConfig(
    **encoder(num_labels=4, embedding_size=32, hidden_act="gelu")), kind="logits")
case("electra-generator", T.ElectraForMaskedLM, T.ElectraConfig(
    **encoder(embedding_size=32, hidden_act="gelu")), kind="logits")
case("electra-discriminator", T.ElectraForPreTraining, T.ElectraConfig(**encoder(embedding_size=24)), kind="logits",
     inputs=["token_type_ids"])
case("electra-base", T.ElectraModel, T.ElectraConfig(**encoder(embedding_size=16, hidden_act="relu")), kind="encoder", old=True)
case("electra-classifier", T.ElectraForSequenceClassification, T.ElectraConfig(
    **encoder(embedding_size=32, num_labels=2)), kind="logits")
DISTIL = dict(
    vocab_size=VOCABULARY, dim=32, hidden_dim=64, n_layers=2, n_heads=4, max_position_embeddings=40, pad_token_id=0)
case("distilbert-base", T.DistilBertModel, T.DistilBertConfig(**DISTIL), kind="encoder", old=True)
case("distilbert-classifier", T.DistilBertForSequenceClassification, T.DistilBertConfig(
    **DISTIL, num_labels=2, activation="relu"), kind="logits")
case("mpnet-base", T.MPNetModel, T.MPNetConfig(**encoder(pad_token_id=1, hidden_act="relu")),
     kind="encoder", old=True)
case("mpnet-classifier", T.MPNetForSequenceClassification, T.MPNetConfig(**encoder(pad_token_id=1, num_labels=2)), kind="logits")
case("ernie-no-task", T.ErnieForMaskedLM, T.ErnieConfig(**encoder(use_task_id=False)), kind="logits", old=True)
case("ernie-task-ids", T.ErnieForMaskedLM, T.ErnieConfig(**encoder(use_task_id=True, task_type_vocab_size=3)),
     kind="logits", inputs=["token_type_ids", "task_type_ids"])
case("ernie-base", T.ErnieModel, T.ErnieConfig(
    **encoder(use_task_id=True, task_type_vocab_size=16, type_vocab_size=4, hidden_act="relu")), kind="encoder")
XLNET = dict(vocab_size=VOCABULARY, d_model=32, n_layer=2, n_head=4, d_inner=64)
case("xlnet-types", T.XLNetLMHeadModel, T.XLNetConfig(**XLNET), kind="xlnet", inputs=["token_type_ids"], length=13)
case("xlnet-base", T.XLNetModel, T.XLNetConfig(**XLNET, ff_activation="relu"), kind="xlnet", old=True, length=9)
case("xlnet-tanh-gelu", T.XLNetLMHeadModel, T.XLNetConfig(
    **dict(XLNET, d_inner=48), ff_activation="gelu_new", tie_word_embeddings=False, layer_norm_eps=1e-3), kind="xlnet")


# Encoder–decoders. T5 1.1 keeps an output matrix of its own, which this version of transformers ties when it loads.
def own_head(model):
    model.lm_head.weight = torch.nn.Parameter(torch.randn_like(model.lm_head.weight))


SEQ2SEQ = dict(kind="seq2seq")
case("t5-shapes", T.T5ForConditionalGeneration, T.T5Config(
    **t5(d_kv=12, num_decoder_layers=1, num_layers=3, relative_attention_num_buckets=8, relative_attention_max_distance=12)),
    old=True, **SEQ2SEQ)
case("t5-untied", T.T5ForConditionalGeneration, T.T5Config(
    **t5(tie_word_embeddings=False, d_kv=8, num_heads=2, num_decoder_layers=3)), before=own_head, raw=True,
    edit=lambda values: values.update(tie_word_embeddings=False), dtype=torch.float16, **SEQ2SEQ)
case("flan-t5-silu", T.T5ForConditionalGeneration, T.T5Config(
    **t5(tie_word_embeddings=False, feed_forward_proj="gated-silu", layer_norm_epsilon=1e-3)), before=own_head, raw=True,
    edit=lambda values: values.update(tie_word_embeddings=False), old=True, **SEQ2SEQ)
case("mt5", T.MT5ForConditionalGeneration, T.MT5Config(
    **t5(tie_word_embeddings=False, feed_forward_proj="gated-gelu", d_kv=6)), before=own_head, raw=True,
    edit=lambda values: values.update(tie_word_embeddings=False), store="bin", **SEQ2SEQ)
BART = dict(
    vocab_size=VOCABULARY, d_model=32, encoder_ffn_dim=64, decoder_ffn_dim=64, max_position_embeddings=40,
    decoder_start_token_id=2, pad_token_id=1, bos_token_id=0, eos_token_id=2)
case("bart-shapes", T.BartForConditionalGeneration, T.BartConfig(
    **dict(BART, decoder_ffn_dim=96), encoder_layers=1, decoder_layers=3, encoder_attention_heads=2,
    decoder_attention_heads=4, scale_embedding=True), old=True, **SEQ2SEQ)
case("bart-relu", T.BartForConditionalGeneration, T.BartConfig(
    **BART, encoder_layers=2, decoder_layers=1, encoder_attention_heads=4, decoder_attention_heads=2,
    activation_function="relu"), store="bin", dtype=torch.bfloat16, **SEQ2SEQ)

# As transformers 5 holds them: all experts of a layer in one tensor.
FUSED = dict(dtype=torch.float16, fused=True)
MOE = dict(moe_intermediate_size=32, num_experts=4, num_experts_per_tok=2)
causal("mixtral-fused", "Mixtral", decoder(num_local_experts=4, num_experts_per_tok=2), **FUSED)
causal("qwen2-moe-fused", "Qwen2Moe", decoder(**MOE, shared_expert_intermediate_size=64), **FUSED)
causal("qwen3-moe-fused", "Qwen3Moe", decoder(**MOE, head_dim=8), **FUSED)
causal("deepseek-v2-fused", "DeepseekV2", decoder(
    **LATENT, q_lora_rank=16, n_routed_experts=4, n_shared_experts=1, topk_method="greedy"), **FUSED)
causal("deepseek-v3-fused", "DeepseekV3", decoder(
    **LATENT, q_lora_rank=16, n_routed_experts=4, n_shared_experts=1, n_group=2, topk_group=1), **FUSED)
causal("ernie4_5-moe-fused", "Ernie4_5_Moe", decoder(
    moe_num_experts=4, moe_k=2, moe_intermediate_size=32, moe_num_shared_experts=1, moe_layer_start_index=1), **FUSED)
causal("llama-yarn-whole", "Llama", decoder(rope_parameters=rope(
    "yarn", factor=8.0, original_max_position_embeddings=8, truncate=False)), dtype=torch.float16)


def randomise(model, dtype):
    """Every tensor counts in the output; embeddings are N(0, 1), matrices keep the scale of what passes through."""
    named = list(model.named_parameters()) + [
        (name, value) for name, value in model.named_buffers() if "correction_bias" in name or name == "final_logits_bias"]
    with torch.no_grad():
        for name, value in named:
            words = name.lower()
            if value.dim() >= 2 and "correction_bias" not in words and "logits_bias" not in words:
                embedding = any(word in words for word in ("embeddings.", "embed_", "wte", "wpe", "shared.", "word_embedding"))
                inputs = value.shape[-1] if "experts" in words else value[0].numel()
                spread = 1.0 if embedding and "project" not in words else inputs ** -0.5
                value.copy_(spread * torch.randn_like(value))
            elif "norm" in words or ".ln_" in words:
                # Gemma adds one to its norms' weights.
                gemma = type(model).__name__.startswith("Gemma")
                centre = 1.0 if words.endswith("weight") and not gemma else 0.0
                value.copy_(centre + 0.2 * torch.randn_like(value))
            else:
                value.copy_(0.2 * torch.randn_like(value))
            value.copy_(value.to(dtype).float())


def old_keys(values):
    """What releases before rope_parameters wrote."""
    ropes = values.pop("rope_parameters", None)
    kind = values["model_type"]
    if ropes and all(isinstance(value, dict) for value in ropes.values()):
        values["rope_local_base_freq"] = ropes["sliding_attention"]["rope_theta"]
        ropes = ropes["full_attention"]
    if ropes:
        ropes = dict(ropes)
        values["rotary_emb_base" if kind == "gpt_neox" else "rope_theta"] = ropes.pop("rope_theta")
        share = ropes.pop("partial_rotary_factor", None)
        if share is not None:
            values["rotary_pct" if kind == "gpt_neox" else "partial_rotary_factor"] = share
        name = ropes.pop("rope_type", "default")
        if name == "longrope":
            ropes.pop("original_max_position_embeddings", None)
            ropes = {key: ropes[key] for key in ("short_factor", "long_factor")}
        values["rope_scaling"] = None if name == "default" else dict(ropes, type=name)
    values.pop("layer_types", None)
    if "dtype" in values:
        values["torch_dtype"] = values.pop("dtype")
    values["transformers_version"] = "4.38.0"
    return values


def inputs(options):
    length = options.get("length", 16)
    found = {"input_ids": torch.randint(5, VOCABULARY, (2, length))}
    for name in options.get("inputs", []):
        found[name] = torch.randint(0, 2, (2, length))
    if options.get("kind") == "seq2seq":
        found["decoder_input_ids"] = torch.randint(5, VOCABULARY, (2, 7))
    return found


def answers(model, given, kind):
    extra = {"xlnet": dict(use_mems=False), "encoder": {}, "logits": {}}.get(kind, dict(use_cache=False))
    with torch.no_grad():
        output = model(**given, **extra)
    names = ("logits",) if "logits" in output else ("last_hidden_state", "pooler_output")
    return {name: output[name].contiguous() for name in names if output.get(name) is not None}


def write(name, index):
    make, config, options = CASES[name]
    torch.manual_seed(sum(map(ord, name)))
    config._attn_implementation = "eager"
    model = make(config)
    if "before" in options:
        options["before"](model)
    dtype = options.get("dtype", DTYPES[index % len(DTYPES)])
    randomise(model, dtype)
    model = model.eval().float()
    given = inputs(options)
    golden = {**given, **answers(model, given, options.get("kind", "causal"))}
    folder = ROOT / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        stored = model.to(dtype)
        stored.save_pretrained(scratch, save_original_format=not options.get("fused"))
        values = json.loads((scratch / "config.json").read_text())
        tensors = load_file(scratch / "model.safetensors")
        if options.get("raw"):
            tensors = {
                key: value for key, value in stored.state_dict().items()
                if not key.endswith("embed_tokens.weight")}
    if options.get("old"):
        values = old_keys(values)
    if "edit" in options:
        options["edit"](values)
    (folder / "config.json").write_text(json.dumps(values, indent=2) + "\n")
    store(folder, tensors, options.get("store"))
    save_file(golden, folder / "golden.safetensors")
    return max(value.abs().max().item() for key, value in golden.items() if value.is_floating_point())


def store(folder, tensors, way):
    tensors = {key: value.contiguous().clone() for key, value in tensors.items()}
    if way == "bin":
        torch.save(tensors, folder / "pytorch_model.bin")
    else:
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def reference(name, make):
    """A case of a family that transformers has not."""
    torch.manual_seed(sum(map(ord, name)))
    values, tensors, golden, way = make(VOCABULARY)
    folder = ROOT / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(values, indent=2) + "\n")
    store(folder, tensors, way)
    save_file(golden, folder / "golden.safetensors")


def main():
    T.utils.logging.disable_progress_bar()
    wanted = sys.argv[1:]
    failed = []
    for index, name in enumerate(CASES):
        if wanted and name not in wanted:
            continue
        try:
            print(f"{name:32} largest {write(name, index):.3f}", flush=True)
        except Exception as error:
            failed.append(name)
            print(f"{name:32} FAILED {error!r}"[:400], flush=True)
    for name, make in family_references.CASES.items():
        if not wanted or name in wanted:
            reference(name, make)
            print(name)
    sys.exit(f"failed: {failed}" if failed else 0)


main()
