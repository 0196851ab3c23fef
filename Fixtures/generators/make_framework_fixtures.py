"""Adds to Fixtures/containers files that TensorFlow, Paddle and MindSpore wrote themselves, and beside each
FILE.answer.safetensors with what the same framework reads from it.

    python make_framework_fixtures.py tensorflow     tensorflow-cpu 2.21
    python make_framework_fixtures.py paddle         paddlepaddle 3.3
    python make_framework_fixtures.py mindspore      mindspore 2.10

One framework at a time, since they want different environments; all need numpy and safetensors.
"""

import pathlib
import sys

import numpy as np

from common import FIXTURES, normal, save_answer

ROOT = FIXTURES / "containers"
random = np.random.default_rng(29)


def every_type(names):
    """A small array of each type, by name."""
    values = {name: (random.standard_normal((3, 5)) * 50).astype(name) for name in names}
    return {**values, "bool": random.standard_normal((2, 3)) > 0, "scalar": np.float32(0.5).reshape(())}


def tensorflow():
    import tensorflow as tf

    numbers = ("float32", "float64", "float16", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
    plain = {f"types/{name}": value for name, value in every_type(numbers).items()}
    # Keys that share their beginnings.
    plain |= {f"encoder/layer_{layer}/attention/output/LayerNorm/{part}": normal(random, 8) for layer in range(2) for part in ("beta", "gamma")}
    path = str(ROOT / "tf-types")
    names = sorted(plain)
    values = [tf.constant(plain[name]) for name in names] + [tf.constant(["left", "alone"])]
    tf.raw_ops.SaveV2(prefix=path, tensor_names=names + ["text"], shape_and_slices=[""] * (len(names) + 1), tensors=values)
    answers(tf, path, names)

    # Two devices write a shard each, which are merged.
    parts = [str(ROOT / f"part{index}") for index in range(2)]
    shards = {"a/kernel": normal(random, 6, 4), "b/kernel": normal(random, 4, 3)}
    for part, (name, value) in zip(parts, shards.items()):
        tf.raw_ops.SaveV2(prefix=part, tensor_names=[name], shape_and_slices=[""], tensors=[tf.constant(value)])
    path = str(ROOT / "tf-shards")
    tf.raw_ops.MergeV2Checkpoints(checkpoint_prefixes=parts, destination_prefix=path, delete_old_dirs=False)
    answers(tf, path, sorted(shards))

    # Variables in parts: along the first, the last and a middle axis; the names are TF 1's.
    path = str(ROOT / "tf-parts")
    wholes = {"rows": (normal(random, 10, 3), 0), "columns": (normal(random, 4, 11), 1), "middle": (normal(random, 2, 7, 3), 1),
              "vector": (normal(random, 9), 0), "ids": (np.arange(600, dtype=np.int64).reshape(300, 2), 0)}
    names, slices, tensors = [], [], []
    for name, (value, axis) in wholes.items():
        start = 0
        for part in np.array_split(value, 3, axis):
            spec = [f"0,{size}" for size in value.shape]
            spec[axis] = f"{start},{part.shape[axis]}"
            names.append(name)
            slices.append(" ".join(map(str, value.shape)) + " " + ":".join(spec))
            tensors.append(tf.constant(part))
            start += part.shape[axis]
    tf.raw_ops.SaveV2(prefix=path, tensor_names=names, shape_and_slices=slices, tensors=tensors)
    answers(tf, path, sorted(wholes))

    # As Keras and tf.train.Checkpoint name variables, with the object graph beside them.
    layer = tf.Module()
    layer.kernel, layer.half = tf.Variable(normal(random, 5, 4)), tf.Variable(tf.cast(normal(random, 4), tf.bfloat16))
    written = tf.train.Checkpoint(model=layer).write(str(ROOT / "tf-objects"))
    names = [name for name, _ in tf.train.list_variables(written) if name != "_CHECKPOINTABLE_OBJECT_GRAPH"]
    from safetensors.tensorflow import save_file

    save_file({name: tf.constant(tf.train.load_checkpoint(written).get_tensor(name), dtype=tf.bfloat16 if "half" in name else None)
               for name in names}, str(ROOT / "tf-objects.index.answer.safetensors"))


def answers(tf, path, names):
    reader = tf.train.load_checkpoint(path)
    save_answer(ROOT, pathlib.Path(path).name + ".index", {name: np.asarray(reader.get_tensor(name)) for name in names})


def paddle():
    import paddle

    paddle.seed(3)
    numbers = ("float32", "float64", "float16", "int8", "int16", "int32", "int64", "uint8")
    state = {name: paddle.to_tensor(value) for name, value in every_type(numbers).items()}
    network = paddle.nn.Sequential(paddle.nn.Linear(6, 5), paddle.nn.ReLU(), paddle.nn.Linear(5, 2))
    state |= network.state_dict()
    for protocol in (2, 4):
        name = f"paddle-state{protocol}.pdparams"
        paddle.save(state, str(ROOT / name), protocol=protocol)
        save_answer(ROOT, name, {key: value.numpy() for key, value in paddle.load(str(ROOT / name)).items()})
    network.eval()
    static = paddle.jit.to_static(network, input_spec=[paddle.static.InputSpec([1, 6], "float32", name="x")])
    paddle.jit.save(static, str(ROOT / "paddle-program"))
    loaded = paddle.jit.load(str(ROOT / "paddle-program"))
    print({key: value.shape for key, value in loaded.state_dict().items()}, [value.name for value in network.parameters()])
    save_answer(ROOT, "paddle-program.pdiparams", {value.name: value.numpy() for value in network.parameters()})


def mindspore():
    import mindspore as ms

    numbers = ("float32", "float64", "float16", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
    parameters = [{"name": f"types.{name}", "data": ms.Tensor(value)} for name, value in every_type(numbers).items()]
    parameters.append({"name": "encoder.bfloat", "data": ms.Tensor(normal(random, 4, 4), ms.bfloat16)})
    parameters.append({"name": "encoder.weight", "data": ms.Tensor(normal(random, 7, 9))})
    path = str(ROOT / "mindspore-own.ckpt")
    ms.save_checkpoint(parameters, path, append_dict={"epoch_num": 3, "learning_rate": 0.5})
    found = ms.load_checkpoint(path)
    print({name: (value.dtype, value.shape) for name, value in found.items()})
    import ml_dtypes

    tensors = {name: value.float().asnumpy().astype(ml_dtypes.bfloat16) if value.dtype == ms.bfloat16 else value.asnumpy()
               for name, value in found.items()}
    save_answer(ROOT, "mindspore-own.ckpt", tensors)


{"tensorflow": tensorflow, "paddle": paddle, "mindspore": mindspore}[sys.argv[1]]()
