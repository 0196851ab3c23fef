//  .npy:  0x93 "NUMPY" │ major: u8, minor: u8 │ header length: u16 (version 1) or u32 │ header │ elements
//         {'descr': '<f4', 'fortran_order': False, 'shape': (30522, 768), }
//  .npz:  a zip archive of NAME.npy, stored or (np.savez_compressed) compressed
//
//  Formats/Specs/numpy.md; every NUMPY-n is a rule there.

import Archives
public import Bytes
public import IR
public import SystemPackage

/// One array (`.npy`), named like the file, or an archive of them (`.npz`). Reads headers only.
public struct NumPyFile: Sendable {
  public let file: InputFile
  /// In the order of the archive; `name` is `sourceName`.
  public let tensors: [TensorRef]

  public init(_ path: FilePath, limits: Limits = Limits()) throws(NumPyError) {
    let file: InputFile
    let start: [UInt8]
    do throws(FileError) {
      file = try InputFile(path)
      start = try file.read(at: 0, count: min(2, file.byteCount))
    } catch {
      throw .file(error)
    }
    self.file = file
    guard start == Array("PK".utf8) else {
      let reader = NumPyArrayReader(
        file: file, name: "", range: 0..<file.byteCount, limits: limits, cache: PanelCache())
      var tensor = try reader.tensor()
      tensor.name = ByteString(path.stem ?? "array")
      tensor.sourceName = tensor.name
      tensors = [tensor]
      return
    }
    tensors = try Self.tensors(inArchive: file, limits: limits)
  }

  /// Whether the file is a zip archive that holds arrays; a broken archive is not recognised as one.
  public static func isArchive(_ file: InputFile) -> Bool {
    guard (try? file.read(at: 0, count: 2)) == Array("PK".utf8), let archive = try? ZipArchive(file) else {
      return false
    }
    return archive.entries.contains { $0.name.hasSuffix(".npy") }
      && !archive.entries.contains { $0.name == "data.pkl" || $0.name.hasSuffix("/data.pkl") }
  }

  private static func tensors(inArchive file: InputFile, limits: Limits) throws(NumPyError) -> [TensorRef] {
    let archive: ZipArchive
    do throws(ZipError) { archive = try ZipArchive(file, limits: limits) } catch { throw .zip(error) }
    var tensors: [TensorRef] = []
    let cache = PanelCache()
    for entry in archive.entries {
      let suffix: ByteString = ".npy"
      guard entry.name.hasSuffix(suffix), entry.name.count > suffix.count else {
        throw .invalidEntry(path: file.path, array: entry.name, offset: entry.recordOffset)
      }
      let name = ByteString(bytes: Array(entry.name.bytes.dropLast(suffix.count)))
      let place: (file: InputFile, range: Range<Int>)
      do throws(ZipError) { place = try archive.contents(of: entry) } catch { throw .zip(error) }
      let reader = NumPyArrayReader(file: place.file, name: name, range: place.range, limits: limits, cache: cache)
      tensors.append(try reader.tensor())
    }
    return tensors
  }
}
