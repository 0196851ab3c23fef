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
import Safetensors
import SystemPackage
import TensorFlow
import WordVectors

/// One container: how it is recognised and opened, and what a user may expect of it.
public struct ContainerRow: Sendable {
  public let container: Container
  /// As people call it, with the usual file names; README's table is made of these.
  public let title: String
  public let reads: String
  /// Empty where it is not written.
  public let writes: String
  public let loses: String
  /// Whether a file's first bytes, or where they are not enough its structure, are of this kind.
  let recognizes: @Sendable (FileStart) -> Bool
  let open: @Sendable (FilePath, Limits) throws(ConversionError) -> ContainerContents
}

/// A file's beginning, by which it is recognised.
struct FileStart: Sendable {
  let file: InputFile
  let head: [UInt8]

  init(_ file: InputFile) throws(FileError) {
    self.file = file
    head = try file.read(at: 0, count: min(4096, file.byteCount))
  }

  func begins(with text: String) -> Bool { head.starts(with: Array(text.utf8)) }
  func begins(with bytes: [UInt8]) -> Bool { head.starts(with: bytes) }
  var isZip: Bool { begins(with: [0x50, 0x4B, 3, 4]) || begins(with: [0x50, 0x4B, 5, 6]) || head == [0x50, 0x4B] }
}

/// Every container in the order in which a file is tried: those with a mark first.
public enum ContainerTable {
  public static let rows: [ContainerRow] = [
    ContainerRow(
      container: .gguf, title: "GGUF v2, v3 (`.gguf`, split too)", reads: "every block type, all metadata",
      writes: "v3, split if asked for", loses: "nothing",
      recognizes: { $0.begins(with: "GGUF") },
      open: { (path, limits) throws(ConversionError) in
        do throws(GGUFError) {
          let file = try GGUFFile(path, limits: limits)
          return ContainerContents(
            tensors: file.tensors, metadata: file.metadata,
            fileByteCount: file.parts.reduce(0) { $0 + $1.file.byteCount })
        } catch { throw .gguf(error) }
      }),
    ContainerRow(
      container: .safetensors, title: "safetensors (`.safetensors`, shards by index)",
      reads: "every plain type; GPTQ, AWQ, compressed-tensors, bitsandbytes, MLX, HQQ, block FP8, MXFP4 decoded",
      writes: "plain types, in shards if asked for", loses: "packed types are written decoded",
      recognizes: { start in start.head.count > 8 && start.head[8] == UInt8(ascii: "{") },
      open: { (path, limits) throws(ConversionError) in
        do throws(SafetensorsError) {
          let file = try SafetensorsFile(path, limits: limits)
          return ContainerContents(
            tensors: file.tensors, metadata: file.metadata, fileByteCount: file.file.byteCount)
        } catch { throw .safetensors(error) }
      }),
    ContainerRow(
      container: .numpy, title: "NumPy (`.npy`, `.npz`)",
      reads: "plain arrays of either order of axes and of bytes; compressed archives", writes: "",
      loses: "nothing", recognizes: { $0.begins(with: [0x93] + Array("NUMPY".utf8)) || NumPyFile.isArchive($0.file) },
      open: { (path, limits) throws(ConversionError) in
        do throws(NumPyError) {
          let file = try NumPyFile(path, limits: limits)
          return ContainerContents(tensors: file.tensors, fileByteCount: file.file.byteCount)
        } catch { throw .numpy(error) }
      }),
    shared(
      .hdf5, "HDF5 (`.h5`, `.hdf5`, `.keras` of Keras and ELMo)",
      reads: "contiguous, compact and chunked datasets by every index; gzip, LZF, shuffle",
      loses: "attributes and text are left alone",
      recognizes: { HDF5File.recognizes($0.head) || HDF5File.isArchive($0.file) }
    ) { (path, limits) throws(ContainerError) in try HDF5File(path, limits: limits).contents },
    ContainerRow(
      container: .pytorch,
      title: "PyTorch (`.bin`, `.pt`, `.pth`, `.ckpt`; zip, legacy, tar, TorchScript, Meta's shards)",
      reads: "every dtype, views, shared storages; the pickle as data only", writes: "",
      loses: "optimizer state and code are named and left alone",
      recognizes: { start in
        start.isZip || start.begins(with: [0x80]) && !PyTorchFile.isOtherPickle(start.file)
          || start.head.count >= 262 && Array(start.head[257..<262]) == Array("ustar".utf8)
      },
      open: { (path, limits) throws(ConversionError) in
        do throws(PyTorchError) {
          let file = try PyTorchFile(path, limits: limits)
          let ignored = (file.ignoredParts + file.otherKeys).map { "\($0.text): left alone" }
          return ContainerContents(
            tensors: file.tensors, metadata: file.metadata, fileByteCount: file.file.byteCount, notes: ignored)
        } catch { throw .pytorch(error) }
      }),
    shared(
      .tensorflow, "TensorFlow checkpoint V2 (`.index` and `.data-…`)",
      reads: "every plain type, in shards; partitioned variables",
      loses: "text is left alone", recognizes: { TensorFlowFile.recognizes($0.file) }
    ) { (path, limits) throws(ContainerError) in try TensorFlowFile(path, limits: limits).contents },
    shared(
      .ggml, "GGML before GGUF (ggml, ggmf, ggjt 1–3; chatglm.cpp)", reads: "every type; old block layouts decoded",
      loses: "the vocabulary", recognizes: { GGMLFile.recognizes($0.head) }
    ) { (path, limits) throws(ContainerError) in try GGMLFile(path, limits: limits).contents },
    shared(
      .fastText, "fastText (`.bin`, `.ftz`, old and new)", reads: "both matrices, product-quantized ones decoded",
      loses: "the dictionary", recognizes: { FastTextFile.recognizes($0.head) }
    ) { (path, limits) throws(ContainerError) in try FastTextFile(path, limits: limits).contents },
    shared(
      .onnx, "ONNX (`.onnx`, external data)",
      reads: "initializers and constants, in branches too; QDQ, Cast·Mul and MatMulNBits decoded; names recovered",
      loses: "the graph itself; small constants", recognizes: { ONNXFile.recognizes($0.file) }
    ) { (path, limits) throws(ContainerError) in try ONNXFile(path, limits: limits).contents },
    shared(
      .mindspore, "MindSpore (`.ckpt`)", reads: "every plain type, parameters in slices", loses: "text is left alone",
      recognizes: { MindSporeFile.recognizes($0.file, head: $0.head) }
    ) { (path, limits) throws(ContainerError) in try MindSporeFile(path, limits: limits).contents },
    shared(
      .flax, "Flax (`.msgpack`)", reads: "arrays of nested maps, in chunks too", loses: "other values are left alone",
      recognizes: { FlaxFile.recognizes($0.head) }
    ) { (path, limits) throws(ContainerError) in try FlaxFile(path, limits: limits).contents },
    shared(
      .ctranslate2, "CTranslate2 (`model.bin`)", reads: "every type; int8 and int16 decoded",
      loses: "the vocabulary, which lies beside it", recognizes: { CTranslate2File.recognizes($0.head) }
    ) { (path, limits) throws(ContainerError) in try CTranslate2File(path, limits: limits).contents },
    shared(
      .paddle, "Paddle (`.pdparams`, `.pdiparams`)", reads: "pickled NumPy arrays as data; LoD tensors",
      loses: "the program", recognizes: { PaddleFile.recognizes($0.head) }
    ) { (path, limits) throws(ContainerError) in try PaddleFile(path, limits: limits).contents },
    shared(
      .llama2c, "llama2.c (`.bin`, versions 0–2)", reads: "F32, and int8 decoded", loses: "nothing",
      recognizes: { Llama2CFile.recognizes($0.file, head: $0.head) }
    ) { (path, limits) throws(ContainerError) in try Llama2CFile(path, limits: limits).contents },
    shared(
      .wordVectors, "word vectors (word2vec binary and text, GloVe)", reads: "the matrix", loses: "the words",
      recognizes: { WordVectorsFile.recognizes($0.head) }
    ) { (path, limits) throws(ContainerError) in try WordVectorsFile(path, limits: limits).contents },
  ]

  /// A container that is only read, and whose errors are the shared ones.
  private static func shared(
    _ container: Container, _ title: String, reads: String, loses: String,
    recognizes: @escaping @Sendable (FileStart) -> Bool,
    open: @escaping @Sendable (FilePath, Limits) throws(ContainerError) -> ContainerContents
  ) -> ContainerRow {
    ContainerRow(
      container: container, title: title, reads: reads, writes: "", loses: loses, recognizes: recognizes,
      open: { (path, limits) throws(ConversionError) in
        do throws(ContainerError) { return try open(path, limits) } catch { throw .container(error) }
      })
  }

  static func row(for start: FileStart) -> ContainerRow? { rows.first { $0.recognizes(start) } }
}

extension ContainerTable {
  /// The table as README shows it; a test compares the two.
  public static var markdown: String {
    (["| container | reads | writes | loses |", "|---|---|---|---|"]
      + rows.map { "| \($0.title) | \($0.reads) | \($0.writes.isEmpty ? "–" : $0.writes) | \($0.loses) |" })
      .joined(separator: "\n")
  }
}
