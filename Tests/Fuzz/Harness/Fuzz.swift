import Bytes
import CTranslate2
import Flax
import GGML
import GGUF
import Glibc
import HDF5
import IR
import MindSpore
import NumPy
import ONNX
import Paddle
import PyTorch
import QuantizedWeights
import Safetensors
import SystemPackage
import TensorFlow
import WordVectors

/// Reads one file of each format; QUERN_FUZZ_FORMAT says which.
private let readers: [String: (FilePath, Limits) throws -> [TensorRef]] = [
  "gguf": { try GGUFFile($0, limits: $1).tensors },
  "safetensors": { path, limits in
    let file = try SafetensorsFile(path, limits: limits)
    return try QuantizedWeights(file.tensors, configuration: nil, at: .init(path, "safetensors")).tensors
  },
  "pytorch": { try PyTorchFile($0, limits: $1).tensors },
  "numpy": { try NumPyFile($0, limits: $1).tensors },
  "onnx": { try ONNXFile($0, limits: $1).contents.tensors },
  "hdf5": { try HDF5File($0, limits: $1).contents.tensors },
  "tensorflow": { try TensorFlowFile($0, limits: $1).contents.tensors },
  "flax": { try FlaxFile($0, limits: $1).contents.tensors },
  "mindspore": { try MindSporeFile($0, limits: $1).contents.tensors },
  "paddle": { try PaddleFile($0, limits: $1).contents.tensors },
  "ctranslate2": { try CTranslate2File($0, limits: $1).contents.tensors },
  "llama2c": { try Llama2CFile($0, limits: $1).contents.tensors },
  "ggml": { try GGMLFile($0, limits: $1).contents.tensors },
  "words": { try WordVectorsFile($0, limits: $1).contents.tensors },
  "fasttext": { try FastTextFile($0, limits: $1).contents.tensors },
]

/// A file without a name that is filled anew for each input.
private let descriptor = memfd_create("input", 0)
private let path = FilePath("/proc/self/fd/\(descriptor)")
private let reader: (FilePath, Limits) throws -> [TensorRef] = {
  let name = getenv("QUERN_FUZZ_FORMAT").map { String(cString: $0) } ?? ""
  guard let reader = readers[name] else {
    fatalError("QUERN_FUZZ_FORMAT is one of \(readers.keys.sorted().joined(separator: ", "))")
  }
  return reader
}()

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ data: UnsafePointer<UInt8>, _ size: Int) -> CInt {
  ftruncate(descriptor, 0)
  _ = pwrite(descriptor, data, size, 0)
  do {
    // An accepted file's tensors can be read, or say why not.
    for tensor in try reader(path, Limits()).prefix(64) where tensor.byteCount < 1 << 20 { _ = try? tensor.readAll() }
  } catch {
    _ = "\(error)"
  }
  return 0
}
