import Bytes
import CTranslate2
import Flax
import GGML
import GGUF
import HDF5
import IR
import MindSpore
import NumPy
import ONNX
import Paddle
import PyTorch
import QuantizedWeights
import Safetensors
public import SystemPackage
import TensorFlow
import Tokenizers
import WordVectors

/// Every reader of files that strangers made, by the name that `make fuzz FORMAT=…` takes. Each reads a file as the
/// program would, then whatever the file says it holds; it may throw, and must do nothing else.
public enum FuzzedReaders {
  public static let all: [String: @Sendable (FilePath) throws -> Void] = [
    "gguf": { path in
      let file = try GGUFFile(path)
      read(file.tensors)
      if let (model, _) = try GGUFTokenizer.read(file.metadata) { try use(model) }
    },
    "safetensors": { try read(SafetensorsFile($0).tensors) },
    // A config.json, a zero, and the tensors.
    "quantized": { path in
      let bytes = try InputFile.contents(of: path, limit: 1 << 24)
      let end = bytes.firstIndex(of: 0) ?? 0
      let configuration = try? JSONValue.parse(Array(bytes[..<end])).object
      let part = InputFile(expanded: Array(bytes[min(end + 1, bytes.count)...]), path: path)
      let file = try SafetensorsFile(part)
      try read(QuantizedWeights(file.tensors, configuration: configuration, at: .init(path, "safetensors")).tensors)
    },
    "pytorch": { try read(PyTorchFile($0).tensors) },
    "numpy": { try read(NumPyFile($0).tensors) },
    "onnx": { try read(ONNXFile($0).contents.tensors) },
    "hdf5": { try read(HDF5File($0).contents.tensors) },
    "tensorflow": { try read(TensorFlowFile($0).contents.tensors) },
    "flax": { try read(FlaxFile($0).contents.tensors) },
    "mindspore": { try read(MindSporeFile($0).contents.tensors) },
    "paddle": { try read(PaddleFile($0).contents.tensors) },
    "ctranslate2": { try read(CTranslate2File($0).contents.tensors) },
    "llama2c": { try read(Llama2CFile($0).contents.tensors) },
    "ggml": { try read(GGMLFile($0).contents.tensors) },
    "words": { try read(WordVectorsFile($0).contents.tensors) },
    "fasttext": { try read(FastTextFile($0).contents.tensors) },
    "importance": { _ = try ImportanceFile.read($0) },
    "zstd": { path in
      let file = try InputFile(path)
      // From the end, so that the decoder has to go back.
      for place in [file.byteCount - 1, 0, file.byteCount / 2] where place >= 0 && place < file.byteCount {
        _ = try file.read(at: place, count: min(4096, file.byteCount - place))
      }
    },
    "json": { path in
      let value = try JSONValue.parse(try InputFile.contents(of: path, limit: 1 << 24))
      guard try JSONValue.parse(value.serialized()) == value else { preconditionFailure("JSON changes when written") }
    },
    "tokenizer": { path in try use(TokenizerJSON.read(tokenizer: try InputFile.contents(of: path, limit: 1 << 24))) },
  ]

  /// An accepted file's tensors can be read, or say why not.
  private static func read(_ tensors: [TensorRef]) {
    for tensor in tensors.prefix(64) where tensor.byteCount < 1 << 20 {
      _ = try? tensor.readAll()
      if tensor.shape.rows > 1 { _ = try? tensor.bytes(rows: tensor.shape.rows - 1..<tensor.shape.rows) }
    }
  }

  private static func use(_ model: TokenizerModel) throws {
    let tokenizer = try Tokenizer(model)
    let ids = try tokenizer.encode("Hello,  wörld 123\n\u{1F600} don't", addsSpecial: true)
    _ = try tokenizer.decode(ids)
  }
}
