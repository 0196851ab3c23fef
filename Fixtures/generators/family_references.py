"""ChatGLM-6B, PanGu-α and the first Qwen in a few lines of PyTorch, for make_family_conformance.py.

Written from what the modelling code published beside the checkpoints computes (THUDM/chatglm-6b, modeling_chatglm.py of
the checkpoint with 130528 words; modeling_gpt2_pangu.py of the PanGu-α ports; modeling_qwen.py of Qwen-7B), in F32.
"""

import math

import torch
import torch.nn.functional as F

WIDTH, HEADS, INNER = 32, 4, 64


def linear(tensors, name, x):
    return F.linear(x, tensors[name + ".weight"], tensors[name + ".bias"])


def norm(tensors, name, x, epsilon):
    return F.layer_norm(x, x.shape[-1:], tensors[name + ".weight"], tensors[name + ".bias"], epsilon)


def draw(shapes, dtype):
    """Random tensors, already rounded to the type they are stored in."""
    made = {}
    for name, shape in shapes.items():
        if len(shape) == 2:
            value = torch.randn(shape) * (1.0 if any(word in name for word in ("embeddings", ".wte", ".wpe", ".wqe")) else shape[1] ** -0.5)
        else:
            centre = 1.0 if name.endswith("weight") else 0.0
            value = centre + 0.2 * torch.randn(shape)
        made[name] = value.to(dtype).float()
    return made


def attend(query, key, value, allowed):
    """query, key, value [batch, heads, tokens, head]; allowed [batch, tokens, tokens]."""
    scores = query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5
    scores = scores.masked_fill(~allowed[:, None], -10000.0)
    mixed = torch.softmax(scores, -1) @ value
    return mixed.transpose(1, 2).flatten(2)


def turn(x, positions):
    """Rotates x [batch, heads, tokens, part] in halves by positions [batch, tokens]."""
    part = x.shape[-1]
    # The published module keeps its frequencies in F16, also when the model is turned into F32.
    frequency = (1.0 / 10000 ** (torch.arange(0, part, 2).float() / part)).half().float()
    angle = positions[..., None].float() * frequency
    angle = torch.cat((angle, angle), -1)[:, None]
    first, second = x.chunk(2, -1)
    return x * angle.cos() + torch.cat((-second, first), -1) * angle.sin()


def chatglm(vocabulary, mask, bos_at, mask_at, layers, head_stored=True, dtype=torch.float16, way=None):
    special = dict(bos_token_id=vocabulary - 2, eos_token_id=vocabulary - 1, mask_token_id=vocabulary - 4,
                   gmask_token_id=vocabulary - 3)
    shapes = {"transformer.word_embeddings.weight": (vocabulary, WIDTH)}
    for layer in range(layers):
        prefix = f"transformer.layers.{layer}."
        for name in ("input_layernorm", "post_attention_layernorm"):
            shapes[prefix + name + ".weight"] = shapes[prefix + name + ".bias"] = (WIDTH,)
        for name, rows, columns in (
                ("attention.query_key_value", 3 * WIDTH, WIDTH), ("attention.dense", WIDTH, WIDTH),
                ("mlp.dense_h_to_4h", INNER, WIDTH), ("mlp.dense_4h_to_h", WIDTH, INNER)):
            shapes[prefix + name + ".weight"], shapes[prefix + name + ".bias"] = (rows, columns), (rows,)
    shapes["transformer.final_layernorm.weight"] = shapes["transformer.final_layernorm.bias"] = (WIDTH,)
    if head_stored:
        shapes["lm_head.weight"] = (vocabulary, WIDTH)
    tensors = draw(shapes, dtype)

    ids = torch.randint(5, vocabulary - 4, (2, 16))
    positions, blocks = torch.arange(16).repeat(2, 1), torch.zeros(2, 16, dtype=torch.long)
    allowed = torch.ones(2, 16, 16).tril().bool()
    for row in range(2):
        ids[row, mask_at[row]] = special[mask]
        context = bos_at[row]
        ids[row, context] = special["bos_token_id"]
        positions[row, context:] = mask_at[row]
        blocks[row, context:] = torch.arange(16 - context) + 1
        allowed[row, :, :context] = True

    epsilon = 1e-5
    x = tensors["transformer.word_embeddings.weight"][ids]
    alpha = (2 * layers) ** 0.5
    for layer in range(layers):
        prefix = f"transformer.layers.{layer}."
        a = norm(tensors, prefix + "input_layernorm", x, epsilon)
        fused = linear(tensors, prefix + "attention.query_key_value", a).view(2, 16, HEADS, -1).transpose(1, 2)
        query, key, value = fused.chunk(3, -1)
        query, key = (
            torch.cat((turn(one.chunk(2, -1)[0], positions), turn(one.chunk(2, -1)[1], blocks)), -1)
            for one in (query, key))
        x = a * alpha + linear(tensors, prefix + "attention.dense", attend(query, key, value, allowed))
        m = norm(tensors, prefix + "post_attention_layernorm", x, epsilon)
        inner = F.gelu(linear(tensors, prefix + "mlp.dense_h_to_4h", m), approximate="tanh")
        x = m * alpha + linear(tensors, prefix + "mlp.dense_4h_to_h", inner)
    x = norm(tensors, "transformer.final_layernorm", x, epsilon)
    logits = x @ tensors.get("lm_head.weight", tensors["transformer.word_embeddings.weight"]).T
    config = dict(
        architectures=["ChatGLMModel"], model_type="chatglm", hidden_size=WIDTH, inner_hidden_size=INNER,
        layernorm_epsilon=epsilon, max_sequence_length=64, num_attention_heads=HEADS, num_layers=layers, pad_token_id=3,
        position_encoding_2d=True, torch_dtype=str(dtype).removeprefix("torch."), transformers_version="4.23.1",
        use_cache=True, vocab_size=vocabulary, **special)
    stored = {name: value.to(dtype) for name, value in tensors.items()}
    # Kept in the published shards, and not used.
    for layer in range(layers):
        stored[f"transformer.layers.{layer}.attention.rotary_emb.inv_freq"] = torch.ones(WIDTH // HEADS // 4).half()
    return config, stored, dict(input_ids=ids, logits=logits.contiguous()), way


def pangu(vocabulary, layers, activation, head_stored, dtype=torch.float16, way=None):
    shapes = {f"transformer.{name}.weight": (rows, WIDTH) for name, rows in (("wte", vocabulary), ("wpe", 24), ("wqe", 24))}
    for layer in range(layers):
        prefix = f"transformer.h.{layer}."
        for name in ("ln_1", "ln_2"):
            shapes[prefix + name + ".weight"] = shapes[prefix + name + ".bias"] = (WIDTH,)
        for name, rows, columns in (
                ("attn.q_proj", WIDTH, WIDTH), ("attn.k_proj", WIDTH, WIDTH), ("attn.v_proj", WIDTH, WIDTH),
                ("attn.c_proj", WIDTH, WIDTH), ("mlp.c_fc", INNER, WIDTH), ("mlp.c_proj", WIDTH, INNER)):
            shapes[prefix + name + ".weight"], shapes[prefix + name + ".bias"] = (rows, columns), (rows,)
    shapes["transformer.ln_f.weight"] = shapes["transformer.ln_f.bias"] = (WIDTH,)
    tensors = draw(shapes, dtype)
    ids = torch.randint(5, vocabulary, (2, 16))
    allowed = torch.ones(2, 16, 16).tril().bool()
    epsilon = 1e-5
    x = tensors["transformer.wte.weight"][ids] + tensors["transformer.wpe.weight"][:16]
    for layer in range(layers):
        prefix = f"transformer.h.{layer}."
        last = layer == layers - 1
        if last:
            x = norm(tensors, "transformer.ln_f", x, epsilon)
        a = norm(tensors, prefix + "ln_1", x, epsilon)
        asked = tensors["transformer.wqe.weight"][:16].expand(2, -1, -1) if last else a
        query, key, value = (
            linear(tensors, prefix + f"attn.{name}_proj", source).view(2, 16, HEADS, -1).transpose(1, 2)
            for name, source in (("q", asked), ("k", a), ("v", a)))
        x = x + linear(tensors, prefix + "attn.c_proj", attend(query, key, value, allowed))
        inner = linear(tensors, prefix + "mlp.c_fc", norm(tensors, prefix + "ln_2", x, epsilon))
        inner = F.gelu(inner, approximate="tanh" if activation == "gelu_new" else "none")
        x = x + linear(tensors, prefix + "mlp.c_proj", inner)
    logits = x @ tensors["transformer.wte.weight"].T
    config = dict(
        activation_function=activation, architectures=["GPTPanguForCausalLM"], attn_pdrop=0.1, bos_token_id=9, embd_pdrop=0.1,
        eos_token_id=9, hidden_size=WIDTH, initializer_range=0.02, intermediate_size=INNER if INNER != 4 * WIDTH else None,
        layer_norm_epsilon=epsilon, max_position_embeddings=24, model_type="gpt_pangu", num_heads=HEADS, num_layers=layers,
        resid_pdrop=0.1, scale_attn_weights=True, torch_dtype=str(dtype).removeprefix("torch."),
        transformers_version="4.13.0", use_cache=False, vocab_size=vocabulary)
    stored = {name: value.to(dtype) for name, value in tensors.items()}
    for layer in range(layers):
        stored[f"transformer.h.{layer}.attn.bias"] = torch.ones(24, 24).tril().to(torch.uint8)[None, None]
        stored[f"transformer.h.{layer}.attn.masked_bias"] = torch.tensor(-10000.0)
    if head_stored:
        stored["lm_head.weight"] = stored["transformer.wte.weight"].clone()
    return config, stored, dict(input_ids=ids, logits=logits.contiguous()), way


def qwen(vocabulary, layers, trained, stretches, lengthens, dtype=torch.float16, way=None):
    """16 tokens through a model of `trained`: use_dynamic_ntk stretches the angles, use_logn_attn lengthens queries."""
    shapes = {"transformer.wte.weight": (vocabulary, WIDTH), "transformer.ln_f.weight": (WIDTH,)}
    for layer in range(layers):
        prefix = f"transformer.h.{layer}."
        shapes[prefix + "ln_1.weight"] = shapes[prefix + "ln_2.weight"] = (WIDTH,)
        shapes[prefix + "attn.c_attn.weight"], shapes[prefix + "attn.c_attn.bias"] = (3 * WIDTH, WIDTH), (3 * WIDTH,)
        shapes[prefix + "attn.c_proj.weight"] = (WIDTH, WIDTH)
        shapes[prefix + "mlp.w1.weight"] = shapes[prefix + "mlp.w2.weight"] = (INNER, WIDTH)
        shapes[prefix + "mlp.c_proj.weight"] = (WIDTH, INNER)
    shapes["lm_head.weight"] = (vocabulary, WIDTH)
    tensors = draw(shapes, dtype)
    epsilon, base, part, length = 1e-6, 10000.0, WIDTH // HEADS, 16
    ids = torch.randint(5, vocabulary, (2, length))

    def rms(name, x):
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + epsilon) * tensors[f"transformer.{name}.weight"]

    if stretches:
        alpha = max(2 ** math.ceil(math.log(length / trained, 2) + 1) - 1, 1)
        base *= alpha ** (part / (part - 2))
    frequency = 1.0 / base ** (torch.arange(0, part, 2).float() / part)
    angle = torch.outer(torch.arange(length).float(), frequency)
    angle = torch.cat((angle, angle), -1)
    longer = torch.tensor([math.log(i, trained) if i > trained else 1.0 for i in range(1, length + 1)])[:, None]

    def turned(x):
        first, second = x.chunk(2, -1)
        return x * angle.cos() + torch.cat((-second, first), -1) * angle.sin()

    x = tensors["transformer.wte.weight"][ids]
    for layer in range(layers):
        prefix = f"transformer.h.{layer}."
        fused = linear(tensors, prefix + "attn.c_attn", rms(f"h.{layer}.ln_1", x))
        query, key, value = (one.view(2, length, HEADS, part).transpose(1, 2) for one in fused.chunk(3, -1))
        query, key = turned(query), turned(key)
        if lengthens:
            query = query * longer
        causal = torch.ones(2, length, length).tril().bool()
        x = x + attend(query, key, value, causal) @ tensors[prefix + "attn.c_proj.weight"].T
        m = rms(f"h.{layer}.ln_2", x)
        inner = (m @ tensors[prefix + "mlp.w1.weight"].T) * F.silu(m @ tensors[prefix + "mlp.w2.weight"].T)
        x = x + inner @ tensors[prefix + "mlp.c_proj.weight"].T
    logits = rms("ln_f", x) @ tensors["lm_head.weight"].T
    config = dict(
        architectures=["QWenLMHeadModel"], model_type="qwen", bf16=False, emb_dropout_prob=0.0, fp16=True, fp32=False,
        hidden_size=WIDTH, initializer_range=0.02, intermediate_size=2 * INNER, kv_channels=part, layer_norm_epsilon=epsilon,
        max_position_embeddings=64, no_bias=True, num_attention_heads=HEADS, num_hidden_layers=layers,
        onnx_safe=None, rotary_emb_base=10000, rotary_pct=1.0, scale_attn_weights=True, seq_length=trained,
        tie_word_embeddings=False, tokenizer_class="QWenTokenizer", transformers_version="4.32.0", use_cache=True,
        use_dynamic_ntk=stretches, use_logn_attn=lengthens, use_flash_attn="auto", vocab_size=vocabulary)
    return config, {name: value.to(dtype) for name, value in tensors.items()}, dict(
        input_ids=ids, logits=logits.contiguous()), way


CASES = {
    # The prompt ends in [gMASK] <bos>; then it is answered.
    "v-chatglm-gmask": lambda vocabulary: chatglm(vocabulary, "gmask_token_id", (9, 5), (8, 4), 2),
    # [MASK] inside of the prompt; nothing but the prompt in the first row.
    "v-chatglm-mask": lambda vocabulary: chatglm(
        vocabulary, "mask_token_id", (15, 7), (3, 2), 3, dtype=torch.float32, way="bin"),
    # Beyond the trained length: 16 tokens are 2.3 times 7, and just as many as 4 times 4.
    "v-qwen-long": lambda vocabulary: qwen(vocabulary, 2, 7, True, True),
    "v-qwen-stretched": lambda vocabulary: qwen(vocabulary, 2, 4, True, False),
    "v-qwen-lengthened": lambda vocabulary: qwen(vocabulary, 3, 10, False, True, way="bin"),
    "v-pangu": lambda vocabulary: pangu(vocabulary, 3, "gelu", True, way="bin"),
    "v-pangu-tanh": lambda vocabulary: pangu(vocabulary, 2, "gelu_new", False, torch.float32),
}
