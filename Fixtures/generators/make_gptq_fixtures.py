"""Writes Fixtures/quantized/gptq-real-*: weights that AutoGPTQ (the format's version 1) and GPTQModel (version 2) packed
themselves, and answer.safetensors as their own PyTorch kernels decode them, in F32.

    python make_gptq_fixtures.py AUTO_GPTQ GPTQMODEL

AUTO_GPTQ holds auto_gptq 0.7.1, GPTQMODEL the source package of gptqmodel 7.7.0, unpacked. Needs torch and transformers.
"""

import ast
import importlib.util
import json
import math
import pathlib
import sys
import types

import numpy
import torch
import transformers
from safetensors.torch import save_file

from common import FIXTURES

torch.manual_seed(19)
INPUTS, OUTPUTS, GROUP = 64, 32, 16


def autogptq():
    path = pathlib.Path(sys.argv[1]) / "auto_gptq/nn_modules/qlinear/qlinear_cuda.py"
    spec = importlib.util.spec_from_file_location("qlinear_cuda", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.QuantLinear


def gptqmodel():
    """The functions that pack and decode, out of a package that wants a GPU's libraries when it is imported."""
    path = pathlib.Path(sys.argv[2]) / "gptqmodel/nn_modules/qlinear/__init__.py"
    tree = ast.parse(path.read_text())
    wanted = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("_torch_")]
    layer = next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "PackableQuantLinear")
    names = ("_wf_device", "_init_wf_unsqueeze_buffers", "dequantize_weight", "_dequantize_from_codes", "pack_original")
    layer.body = [node for node in layer.body if isinstance(node, ast.FunctionDef) and node.name in names]
    layer.bases = [ast.Name("Module", ast.Load())]
    limits = types.SimpleNamespace(threadpool_limits=lambda count: __import__("contextlib").nullcontext())
    scope = {"t": torch, "np": numpy, "nn": torch.nn, "math": math, "transformers": transformers, "Module": torch.nn.Module,
             "_ConvNd": torch.nn.modules.conv._ConvNd, "THREADPOOLCTL": limits}
    code = ast.fix_missing_locations(ast.Module(wanted + [layer], []))
    exec(compile(code, str(path), "exec"), scope)

    def make(bits):
        made = scope["PackableQuantLinear"]()
        for name, value in dict(bits=bits, planar=False, pack_dtype_bits=32, pack_factor=32 // bits, maxq=2**bits - 1, bias=None,
                                pack_dtype=torch.int32, dequant_dtype=torch.int16 if bits == 8 else torch.int8,
                                pack_np_math_dtype=numpy.uint32, pack_np_dtype=numpy.int32, in_features=INPUTS,
                                enable_wf_unsqueeze=True).items():
            setattr(made, name, value)
        return made

    return make


def material(bits, lowest_zero):
    """A layer whose weights lie on the grid, and the grid."""
    zeros = torch.randint(lowest_zero, 2**bits, (OUTPUTS, INPUTS // GROUP)).float()
    scales = (torch.rand(OUTPUTS, INPUTS // GROUP) / 50 + 0.001).half().float()
    order = (torch.arange(INPUTS) // GROUP)[torch.randperm(INPUTS)].to(torch.int32)
    quants = torch.randint(0, 2**bits, (OUTPUTS, INPUTS)).float()
    linear = torch.nn.Linear(INPUTS, OUTPUTS, bias=False)
    linear.weight.data = (quants - zeros[:, order]) * scales[:, order]
    return linear, scales, zeros, order


def write(name, layer, answer, linear, config):
    folder = FIXTURES / "quantized" / name
    folder.mkdir(parents=True, exist_ok=True)
    assert (answer - linear.weight.data).abs().max() < 1e-6, name
    norm = torch.arange(8, dtype=torch.float16)
    tensors = {f"l.{part}": getattr(layer, part).contiguous() for part in ("qweight", "qzeros", "scales", "g_idx")}
    save_file({**tensors, "norm.weight": norm}, folder / "model.safetensors")
    save_file({"l.weight": answer.contiguous(), "norm.weight": norm}, folder / "answer.safetensors")
    (folder / "config.json").write_text(json.dumps({"quantization_config": {"quant_method": "gptq", **config}}, indent=1) + "\n")


linear_of, model_of = autogptq(), gptqmodel()
for bits in (2, 3, 4, 8):
    config = {"bits": bits, "group_size": GROUP, "desc_act": True}
    linear, scales, zeros, order = material(bits, 1)
    layer = linear_of(bits, GROUP, INPUTS, OUTPUTS, False, weight_dtype=torch.float32)
    layer.pack(linear, scales.clone(), zeros.clone(), order)
    write(f"gptq-real-{bits}bit-v1", layer, layer(torch.eye(INPUTS)).T, linear, {**config, "checkpoint_format": "gptq"})
    linear, scales, zeros, order = material(bits, 0)
    layer = model_of(bits)
    layer.pack_original(linear, scales.clone(), zeros.clone(), order)
    stored = layer.scales
    layer.scales = stored.float()
    answer = layer.dequantize_weight().T
    layer.scales = stored
    write(f"gptq-real-{bits}bit-v2", layer, answer, linear, {**config, "checkpoint_format": "gptq_v2"})
