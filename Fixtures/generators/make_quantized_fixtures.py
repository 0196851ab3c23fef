"""Writes Fixtures/quantized: one folder per scheme, with the weights as a GPU library stores them and answer.safetensors
as that library decodes them (in F32).

    PYTHONPATH=SITE python make_quantized_fixtures.py

SITE holds compressed-tensors 0.20.0, bitsandbytes 0.50.2, autoawq 0.2.7.post3 and hqq 0.2.8.post1, unpacked;
torch 2.15 and transformers 5.23 are installed. GPTQ's answers follow auto-gptq 0.7.1's pack() in reverse.
"""

import importlib.util
import json
import pathlib
import sys

import torch
from safetensors.torch import save_file

ROOT = pathlib.Path(__file__).resolve().parent.parent / "quantized"
torch.manual_seed(7)


def module(path):
    for base in sys.path:
        file = pathlib.Path(base) / path
        if file.exists():
            spec = importlib.util.spec_from_file_location(file.stem, file)
            loaded = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(loaded)
            return loaded
    raise FileNotFoundError(path)


def write(name, tensors, answers, config):
    folder = ROOT / name
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {**tensors, "norm.weight": torch.arange(8, dtype=torch.float16)}
    answers = {**answers, "norm.weight": tensors["norm.weight"]}
    save_file({k: v.contiguous() for k, v in tensors.items()}, folder / "model.safetensors")
    save_file({k: v.contiguous() for k, v in answers.items()}, folder / "answer.safetensors")
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n")


def words(fields, bits):
    """Rows of fields [n, columns] as the words of a bit stream down each column."""
    count = (fields.shape[0] * bits + 31) // 32
    out = torch.zeros(count, fields.shape[1], dtype=torch.int64)
    for row in range(fields.shape[0]):
        word, bit = divmod(row * bits, 32)
        value = fields[row].to(torch.int64) << bit
        out[word] |= value & 0xFFFFFFFF
        if bit + bits > 32:
            out[word + 1] |= value >> 32
    return torch.where(out >= 2**31, out - 2**32, out).to(torch.int32)


def gptq(bits, version, act_order):
    inputs, outputs, group = 96, 64, 32
    q = torch.randint(0, 2**bits, (inputs, outputs))
    order = torch.arange(inputs) // group
    if act_order:
        order = order[torch.randperm(inputs)]
    zeros = torch.randint(1, 2**bits, (inputs // group, outputs))
    scales = (torch.rand(inputs // group, outputs) / 50).half()
    answer = (q - zeros[order]).float() * scales.float()[order]
    tensors = {
        "l.qweight": words(q, bits), "l.qzeros": words((zeros - int(version == 1)).T, bits).T,
        "l.scales": scales, "l.g_idx": order.to(torch.int32), "l.bias": torch.ones(outputs).half(),
    }
    config = {"quant_method": "gptq", "bits": bits, "group_size": group, "desc_act": act_order}
    config["checkpoint_format"] = "gptq" if version == 1 else "gptq_v2"
    write(f"gptq-{bits}bit-v{version}" + ("-act" if act_order else ""), tensors,
          {"l.weight": answer.T, "l.bias": tensors["l.bias"]}, {"quantization_config": config})


for bits, version, act in [(4, 1, False), (4, 2, True), (3, 1, True), (8, 1, False), (2, 2, False)]:
    gptq(bits, version, act)

packing = module("awq/utils/packing_utils.py")
qweight = torch.randint(-(2**31), 2**31, (128, 8), dtype=torch.int64).to(torch.int32)
qzeros = torch.randint(-(2**31), 2**31, (2, 8), dtype=torch.int64).to(torch.int32)
scales = (torch.rand(2, 64) / 40).half()
answer = packing.dequantize_gemm(qweight, qzeros, scales.float(), 4, 64)
write("awq", {"l.qweight": qweight, "l.qzeros": qzeros, "l.scales": scales}, {"l.weight": answer.T},
      {"quantization_config": {"quant_method": "awq", "bits": 4, "group_size": 64, "version": "gemm"}})

pack = module("compressed_tensors/compressors/pack_quantized/helpers.py")


def packed(bits, symmetric, act_order=False):
    outputs, inputs, group = 48, 96, 32
    half = 2 ** (bits - 1)
    q = torch.randint(-half, half, (outputs, inputs), dtype=torch.int8)
    scale = (torch.rand(outputs, inputs // group) / 30).bfloat16()
    order = torch.arange(inputs) // group
    if act_order:
        order = order[torch.randperm(inputs)]
    tensors = {"l.weight_packed": pack.pack_to_int32(q, bits), "l.weight_scale": scale,
               "l.weight_shape": torch.tensor([outputs, inputs])}
    zero = torch.zeros(outputs, inputs // group, dtype=torch.int8)
    if not symmetric:
        zero = torch.randint(-half, half, zero.shape, dtype=torch.int8)
        tensors["l.weight_zero_point"] = pack.pack_to_int32(zero, bits, packed_dim=0)
    if act_order:
        tensors["l.weight_g_idx"] = order.to(torch.int32)
    unpacked = pack.unpack_from_int32(tensors["l.weight_packed"], bits, q.shape)
    answer = (unpacked.float() - zero.float()[:, order]) * scale.float()[:, order]
    config = {"quant_method": "compressed-tensors", "format": "pack-quantized",
              "config_groups": {"group_0": {"targets": ["Linear"], "weights": {"num_bits": bits, "group_size": group}}}}
    name = f"compressed-{bits}bit" + ("" if symmetric else "-asymmetric") + ("-act" if act_order else "")
    write(name, tensors, {"l.weight": answer}, {"quantization_config": config})


packed(4, True)
packed(4, False)
packed(8, False, True)
packed(3, False)

q = torch.randint(-127, 128, (24, 40), dtype=torch.int8)
scale = torch.rand(24, 1) / 100
fp8 = torch.randn(24, 40).to(torch.float8_e4m3fn)
write("compressed-int8", {"l.weight": q, "l.weight_scale": scale, "m.weight": fp8, "m.weight_scale": torch.tensor([0.25])},
      {"l.weight": q.float() * scale, "m.weight": fp8.float() * 0.25},
      {"quantization_config": {"quant_method": "compressed-tensors", "format": "int-quantized"}})

from compressed_tensors.compressors.nvfp4.helpers import unpack_fp4_from_uint8

nv = torch.randint(0, 256, (16, 32), dtype=torch.uint8)
nv_scale = (torch.rand(16, 4) * 400).to(torch.float8_e4m3fn)
global_scale = torch.tensor([37.5])
unpacked = unpack_fp4_from_uint8(nv, 16, 64, dtype=torch.float32)
nv_answer = unpacked * (nv_scale.float() / global_scale).repeat_interleave(16, dim=1)
mx = torch.randint(0, 256, (16, 32), dtype=torch.uint8)
mx_scale = torch.randint(100, 140, (16, 2), dtype=torch.uint8)
mx_answer = unpack_fp4_from_uint8(mx, 16, 64, dtype=torch.float32) * torch.exp2(mx_scale.float() - 127).repeat_interleave(
    32, dim=1)
write("compressed-fp4",
      {"l.weight_packed": nv, "l.weight_scale": nv_scale, "l.weight_global_scale": global_scale,
       "m.weight_packed": mx, "m.weight_scale": mx_scale},
      {"l.weight": nv_answer, "m.weight": mx_answer},
      {"quantization_config": {"quant_method": "compressed-tensors", "format": "nvfp4-pack-quantized"}})

import bitsandbytes.functional as bnb

for kind, nested in [("nf4", False), ("nf4", True), ("fp4", False)]:
    weight = torch.randn(48, 64)
    data, state = bnb.quantize_4bit(weight, blocksize=64, compress_statistics=nested, quant_type=kind)
    answer = bnb.dequantize_4bit(data, state)
    tensors = {"l.weight": data}
    for key, value in state.as_dict(packed=True).items():
        tensors["l.weight." + key] = value
    write(f"bitsandbytes-{kind}" + ("-nested" if nested else ""), tensors, {"l.weight": answer},
          {"quantization_config": {"quant_method": "bitsandbytes", "load_in_4bit": True}})
q = torch.randint(-127, 128, (24, 40), dtype=torch.int8)
scb = torch.rand(24) * 4
write("bitsandbytes-int8", {"l.weight": q, "l.SCB": scb, "l.weight_format": torch.tensor(0, dtype=torch.uint8)},
      {"l.weight": q.float() * scb[:, None] * (1 / 127)},
      {"quantization_config": {"quant_method": "bitsandbytes", "load_in_8bit": True}})

# MLX has no wheel that loads here: its documented layout, w = q·s + b with fields along each row.
for bits, group in [(4, 32), (8, 64), (2, 64), (3, 32), (6, 64)]:
    q = torch.randint(0, 2**bits, (20, 128))
    s, b = torch.rand(20, 128 // group).half(), -torch.rand(20, 128 // group).half()
    answer = q.float() * s.float().repeat_interleave(group, 1) + b.float().repeat_interleave(group, 1)
    write(f"mlx-{bits}bit", {"l.weight": words(q.T, bits).T.contiguous().view(torch.uint32), "l.scales": s, "l.biases": b},
          {"l.weight": answer}, {"quantization": {"bits": bits, "group_size": group}})

from hqq.core.quantize import Quantizer

for bits, axis in [(4, 1), (8, 1), (2, 1), (3, 1), (1, 1), (4, 0)]:
    weight = torch.randn(40, 64)
    q, meta = Quantizer.quantize(weight, nbits=bits, group_size=64 if axis else 40, axis=axis, round_zero=False,
                                 optimize=False, device="cpu", compute_dtype=torch.float32)
    answer = Quantizer.dequantize(q, meta)
    tensors = {"l.W_q": q, "l.scale": meta["scale"].float(), "l.zero": meta["zero"].float(),
               "l.nbits": torch.tensor(bits), "l.axis": torch.tensor(axis), "l.shape": torch.tensor(meta["shape"]),
               "l.group_size": torch.tensor(meta["group_size"])}
    write(f"hqq-{bits}bit-axis{axis}", tensors, {"l.weight": answer.float()}, {"quantization_config": {"quant_method": "hqq"}})

weight = torch.randn(200, 160).to(torch.float8_e4m3fn)
inv = torch.rand(2, 2)
answer = weight.float() * inv.repeat_interleave(128, 0)[:200].repeat_interleave(128, 1)[:, :160]
write("fp8-block", {"l.weight": weight, "l.weight_scale_inv": inv}, {"l.weight": answer},
      {"quantization_config": {"quant_method": "fp8", "weight_block_size": [128, 128]}})

from transformers.integrations.mxfp4 import convert_moe_packed_tensors

blocks = torch.randint(0, 256, (3, 20, 2, 16), dtype=torch.uint8)
exponents = torch.randint(110, 135, (3, 20, 2), dtype=torch.uint8)
answer = convert_moe_packed_tensors(blocks, exponents, dtype=torch.float32)
write("mxfp4-blocks", {"e.gate_up_proj_blocks": blocks, "e.gate_up_proj_scales": exponents},
      {"e.gate_up_proj": answer}, {"quantization_config": {"quant_method": "mxfp4"}})
