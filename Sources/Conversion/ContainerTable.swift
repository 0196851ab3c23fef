import Bytes
import GGUF
import IR
import NumPy
import PyTorch
import Safetensors
import SystemPackage

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
      container: .numpy, title: "NumPy (`.npy`, `.npz`)", reads: "plain little-endian arrays, either order", writes: "",
      loses: "nothing", recognizes: { $0.begins(with: [0x93] + Array("NUMPY".utf8)) || NumPyFile.isArchive($0.file) },
      open: { (path, limits) throws(ConversionError) in
        do throws(NumPyError) {
          let file = try NumPyFile(path, limits: limits)
          return ContainerContents(tensors: file.tensors, fileByteCount: file.file.byteCount)
        } catch { throw .numpy(error) }
      }),
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
  ]

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
