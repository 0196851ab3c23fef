//  0x89 "HDF\r\n" 0x1A "\n" │ superblock: version, sizes of addresses and lengths, root group's header
//  object header: messages; a group's tell its members (symbol table: B-tree of nodes of entries, names in a heap; or
//    link messages), a dataset's its shape (1), type (3), layout (8) and filters (11)
//  layout: in the header, in one piece, or in chunks that a B-tree lists by their first element
//
//  support.hdfgroup.org/documentation/hdf5/latest/_f_m_t3.html

import Archives
public import Bytes
public import IR
public import SystemPackage

/// Datasets of an HDF5 file as Keras and ELMo write them, named by their path. Headers only are read.
public struct HDF5File: Sendable {
  public let contents: ContainerContents

  public static func recognizes(_ head: [UInt8]) -> Bool {
    head.starts(with: [0x89, 0x48, 0x44, 0x46, 0x0D, 0x0A, 0x1A, 0x0A])
  }

  private static let archiveEntry: ByteString = "model.weights.h5"

  /// Whether the file is a zip archive that holds one, as Keras 3 saves models.
  public static func isArchive(_ file: InputFile) -> Bool {
    guard (try? file.read(at: 0, count: 2)) == Array("PK".utf8), let archive = try? ZipArchive(file) else {
      return false
    }
    return archive[archiveEntry] != nil
  }

  public init(_ path: FilePath, limits: Limits = Limits()) throws(ContainerError) {
    var file: InputFile
    do throws(FileError) { file = try InputFile(path) } catch { throw .file(error) }
    if Self.isArchive(file) {
      do throws(ZipError) {
        let archive = try ZipArchive(file, limits: limits)
        guard let entry = archive[Self.archiveEntry] else { throw ZipError.notAnArchive(path: path) }
        let (whole, range) = try archive.contents(of: entry)
        file = InputFile(part: range, of: whole)
      } catch {
        throw .malformed(.init(path, "Keras archive", name: error.name, offset: error.offset), reason: "\(error)")
      }
    }
    guard file.byteCount >= 8 else { throw .malformed(.init(path, "HDF5"), reason: "no superblock") }
    var walker = try HDF5Walker(file, limits: limits)
    try walker.walk()
    var notes: [String] = []
    if walker.otherCount > 0 {
      notes.append("\(walker.otherCount) datasets of text or records left alone")
    }
    contents = ContainerContents(tensors: walker.tensors, fileByteCount: file.byteCount, notes: notes)
  }
}
