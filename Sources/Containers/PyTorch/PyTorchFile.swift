//  since 1.6: a zip archive            before: five pickles and the storages, one after the other
//    NAME/data.pkl   the object          0x1950a86a20f9469cfc6c
//    NAME/data/KEY   each storage        1001
//    NAME/byteorder  "little"            {little_endian, protocol_version, type_sizes}
//    NAME/version    "3"                 the object
//                                        [keys of storages]
//                                        each storage: element count: i64, elements
//
//  before 0.1.10: a tar archive of pickles and storages (PyTorchTar.swift)
//
//  Formats/Specs/pytorch.md; every PYTORCH-n below is a rule there.

import Archives
public import Bytes
public import IR
public import SystemPackage

/// One file written by `torch.save`. The pickle in it is read as data; nothing in it is run.
public struct PyTorchFile: Sendable {
  public let file: InputFile
  /// In the order of the dictionary; `name` is `sourceName`.
  public let tensors: [TensorRef]
  /// Numbers and strings that stand in the dictionary beside the tensors.
  public let metadata: Metadata
  /// Keys of the dictionary whose values are neither, and were left alone.
  public let otherKeys: [ByteString]
  /// Parts of a training checkpoint that are not the weights (optimizers, other copies), and were left alone.
  public let ignoredParts: [ByteString]

  /// Reads the archive's directory and the pickle only.
  public init(_ path: FilePath, limits: Limits = Limits()) throws(PyTorchError) {
    do throws(FileError) { file = try InputFile(path) } catch { throw .file(error) }
    let start: [UInt8]
    do throws(FileError) { start = try file.read(at: 0, count: min(file.byteCount, 262)) } catch { throw .file(error) }
    let contents: PyTorchContents
    if start.starts(with: Array("PK".utf8)) {
      contents = try PyTorchArchive.open(file, limits: limits)
    } else if start.first == 0x80 {
      contents = try PyTorchLegacy.open(file, limits: limits)
    } else if start.count == 262, Array(start[257...]) == Array("ustar".utf8) {
      contents = try PyTorchTar.open(file, limits: limits)
    } else {
      throw .notPyTorch(path: path, reason: "no zip, no pickle")
    }
    var reader = PyTorchTensorReader(contents, limits: limits)
    try reader.read()
    tensors = reader.tensors
    metadata = reader.metadata
    otherKeys = reader.otherKeys
    ignoredParts = reader.ignoredParts
  }
}

extension PyTorchFile {
  /// Whether a file that begins like a pickle is one without PyTorch's mark: another library's.
  public static func isOtherPickle(_ file: InputFile) -> Bool {
    // Protocol 2, then LONG1 of ten bytes: the mark.
    let mark: [UInt8] = [0x80, 0x02, 0x8A, 0x0A, 0x6C, 0xFC, 0x9C, 0x46, 0xF9, 0x20, 0x6A, 0xA8, 0x50, 0x19]
    guard let head = try? file.read(at: 0, count: min(32, file.byteCount)) else { return false }
    // Later protocols put a frame of nine bytes between.
    return !head.starts(with: mark) && !(head.count > 25 && Array(head[11..<25]).suffix(12) == mark.suffix(12))
  }
}

/// A checkpoint's pickle, and where its storages lie.
struct PyTorchContents {
  let file: InputFile
  let graph: PickleGraph
  /// By key: offset in the file and length in bytes.
  let storages: [ByteString: Range<Int>]
  /// Of a tar archive, whose pickle names whole tensors.
  var wholeTensors: [ByteString: TensorRef] = [:]
}
