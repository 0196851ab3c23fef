import Bytes
import IR

/// The classes and functions that a checkpoint's pickle may name. None is called: each only says what its arguments mean.
enum PyTorchGlobals {
  static func allows(_ module: ByteString, _ name: ByteString) -> Bool {
    let full = "\(module).\(name)"
    // TorchScript's own classes are named after the modules they were compiled from: `__torch__.vad.Decoder`.
    return others.contains(full) || storageFormats[full] != nil || typeFormats[full] != nil
      || module == "__torch__" || module.hasPrefix("__torch__.") || module == "torch.jit._pickle"
  }

  /// How a storage's class says what its elements are.
  static let storageFormats: [String: BlockFormat] = [
    "torch.FloatStorage": .f32, "torch.HalfStorage": .f16, "torch.BFloat16Storage": .bf16, "torch.DoubleStorage": .f64,
    "torch.LongStorage": .i64, "torch.IntStorage": .i32, "torch.ShortStorage": .i16, "torch.CharStorage": .i8,
    "torch.ByteStorage": .u8, "torch.BoolStorage": .bool,
  ]

  /// How later versions say it, with a storage of plain bytes.
  static let typeFormats: [String: BlockFormat] = [
    "torch.float32": .f32, "torch.float16": .f16, "torch.bfloat16": .bf16, "torch.float64": .f64,
    "torch.float8_e4m3fn": .f8e4m3, "torch.float8_e5m2": .f8e5m2, "torch.int64": .i64, "torch.int32": .i32,
    "torch.int16": .i16, "torch.int8": .i8, "torch.uint8": .u8, "torch.uint16": .u16, "torch.uint32": .u32,
    "torch.uint64": .u64, "torch.bool": .bool,
  ]

  static let untypedStorages: Set<String> = [
    "torch.storage.UntypedStorage", "torch.storage._UntypedStorage", "torch.UntypedStorage",
  ]

  private static let others: Set<String> = untypedStorages.union([
    "collections.OrderedDict", "torch.Size", "torch.device", "torch._utils._rebuild_tensor",
    "torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_tensor_v3", "torch._utils._rebuild_parameter",
    "torch._utils._rebuild_parameter_with_state", "torch._tensor._rebuild_from_type_v2",
    "torch.nn.parameter.Parameter", "torch.Tensor", "_codecs.encode",
    // What training scripts put beside the weights: settings and plain numbers.
    "collections.defaultdict", "collections.Counter", "argparse.Namespace", "types.SimpleNamespace",
    "builtins.set", "__builtin__.set", "builtins.frozenset", "builtins.int", "builtins.float", "builtins.list",
    "builtins.dict", "builtins.tuple", "builtins.str", "builtins.complex", "builtins.bytearray", "builtins.slice",
    "numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar", "numpy.core.multiarray._reconstruct",
    "numpy._core.multiarray._reconstruct", "numpy.dtype", "numpy.ndarray", "pathlib.PosixPath",
    "pathlib.PurePosixPath", "datetime.datetime", "datetime.timedelta", "torch.serialization._get_layout",
    "torch.float32", "torch.strided", "torch._C.Generator",
    // A tensor's class, as versions before 0.1.10 name it.
    "torch.FloatTensor", "torch.HalfTensor", "torch.DoubleTensor", "torch.LongTensor", "torch.IntTensor",
    "torch.ShortTensor", "torch.CharTensor", "torch.ByteTensor",
  ])
}
