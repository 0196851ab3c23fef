"""Adds to Fixtures/containers what Keras 3 and Flax themselves save, and beside each file FILE.answer.safetensors.

    KERAS_BACKEND=jax python make_keras_fixtures.py

Needs keras, jax, flax, h5py and safetensors.
"""

import pathlib

import flax.serialization
import h5py
import jax
import jax.numpy as jnp
import keras
import numpy as np
from safetensors.flax import save_file as save_jax
from safetensors.numpy import save_file

ROOT = pathlib.Path(__file__).resolve().parent.parent / "containers"


def answer(name, tensors):
    save_file({k: np.array(v, order="C", copy=True) for k, v in tensors.items()}, ROOT / f"{name}.answer.safetensors")


def hdf5(path):
    found = {}
    h5py.File(path).visititems(lambda name, item: found.__setitem__(name, item[()]) if isinstance(item, h5py.Dataset) else None)
    return found


keras.utils.set_random_seed(3)
model = keras.Sequential([keras.Input((6, 4)), keras.layers.LSTM(5, name="memory"), keras.layers.Dense(3, name="head")])
model.compile("adam", "mse")
model.save_weights(ROOT / "keras3.weights.h5")
answer("keras3.weights.h5", hdf5(ROOT / "keras3.weights.h5"))
model.save(ROOT / "keras-legacy.h5")
answer("keras-legacy.h5", hdf5(ROOT / "keras-legacy.h5"))
model.save(ROOT / "archive.keras")
answer("archive.keras", hdf5(ROOT / "keras3.weights.h5"))

key = jax.random.PRNGKey(0)
tree = {"params": {"Dense_0": {"kernel": jax.random.normal(key, (4, 3)), "bias": jnp.arange(3, dtype=jnp.bfloat16)},
                   "Embed_0": {"embedding": jax.random.normal(key, (5, 2)).astype(jnp.float16)}},
        "step": jnp.int32(7)}
(ROOT / "flax-real.msgpack").write_bytes(flax.serialization.to_bytes(tree))
flat = {"params.Dense_0.kernel": tree["params"]["Dense_0"]["kernel"], "params.Dense_0.bias": tree["params"]["Dense_0"]["bias"],
        "params.Embed_0.embedding": tree["params"]["Embed_0"]["embedding"], "step": tree["step"]}
save_jax({k: jnp.asarray(v) for k, v in flat.items()}, str(ROOT / "flax-real.msgpack.answer.safetensors"))
