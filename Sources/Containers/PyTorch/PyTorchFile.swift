//  since 1.6: a zip archive            before: five pickles and the storages, one after the other
//    NAME/data.pkl   the object          0x1950a86a20f9469cfc6c
//    NAME/data/KEY   each storage        1001
//    NAME/byteorder  "little"            {little_endian, protocol_version, type_sizes}
//    NAME/version    "3"                 the object
//                                        [keys of storages]
//                                        each storage: element count: i64, elements
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
    } else {
      let isTar = start.count == 262 && Array(start[257...]) == Array("ustar".utf8)
      throw .notPyTorch(
        path: path,
        reason: isTar ? "a tar archive, as versions before 0.1.10 wrote; save it with a later one" : "no zip, no pickle"
      )
    }
    var reader = PyTorchTensorReader(contents, limits: limits)
    try reader.read()
    tensors = reader.tensors
    metadata = reader.metadata
    otherKeys = reader.otherKeys
  }
}

/// A checkpoint's pickle, and where its storages lie.
struct PyTorchContents {
  let file: InputFile
  let graph: PickleGraph
  /// By key: offset in the file and length in bytes.
  let storages: [ByteString: Range<Int>]
}
