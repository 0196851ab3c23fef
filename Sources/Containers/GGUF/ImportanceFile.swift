public import Bytes
public import IR
public import SystemPackage

/// Files of channel importances as llama-imatrix writes and llama-quantize reads them.
///
///     GGUF       general.type = "imatrix", imatrix.datasets, imatrix.chunk_count, imatrix.chunk_size;
///                NAME.in_sum2 F32 [matrix, channel], NAME.counts F32 [matrix, 1]
///     the old    i32 entries; entry: i32 length, name, i32 calls, i32 values, f32 values[] (means · calls);
///     .dat       then i32 chunks, i32 length, text's name — all little-endian, the end optional
public enum ImportanceFile {
  static let sumsSuffix: ByteString = ".in_sum2"
  static let countsSuffix: ByteString = ".counts"

  /// Reads either kind, told apart by the first bytes.
  public static func read(_ path: FilePath, limits: Limits = Limits()) throws(ImportanceError) -> Importance {
    let isGGUF: Bool
    do {
      let file = try InputFile(path)
      isGGUF = try file.byteCount >= 4 && file.read(at: 0, count: 4) == Array("GGUF".utf8)
      if !isGGUF { return try LegacyImportance.read(file) }
    } catch let error as ImportanceError {
      throw error
    } catch let error as FileError {
      throw .file(error)
    } catch {
      throw .notImportance(path: path)
    }
    let file: GGUFFile
    do { file = try GGUFFile(path, limits: limits) } catch { throw .gguf(error) }
    return try importance(in: file, path: path)
  }

  private static func importance(in file: GGUFFile, path: FilePath) throws(ImportanceError) -> Importance {
    guard file.metadata["general.type"]?.string == "imatrix" else { throw .notImportance(path: path) }
    var importance = Importance(
      datasets: file.metadata["imatrix.datasets"]?.array?.strings ?? [],
      chunkCount: file.metadata["imatrix.chunk_count"]?.int ?? 0,
      chunkSize: file.metadata["imatrix.chunk_size"]?.int ?? 0)
    let tensors = Dictionary(file.tensors.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
    for tensor in file.tensors where tensor.name.hasSuffix(sumsSuffix) {
      let name = ByteString(bytes: Array(tensor.name.bytes.dropLast(sumsSuffix.count)))
      guard let counts = tensors[ByteString(bytes: name.bytes + countsSuffix.bytes)] else {
        throw .invalidEntry(path: path, tensor: name, reason: "has sums and no counts")
      }
      let sumValues = try floats(of: tensor, path: path)
      let countValues = try floats(of: counts, path: path)
      guard !countValues.isEmpty, sumValues.count % countValues.count == 0 else {
        throw .invalidEntry(
          path: path, tensor: name, reason: "\(sumValues.count) sums do not divide into \(countValues.count) counts")
      }
      importance[name] = try checked(.init(sums: sumValues, counts: countValues), name, path)
    }
    return importance
  }

  static func checked(
    _ entry: Importance.Entry, _ name: ByteString, _ path: FilePath
  ) throws(ImportanceError) -> Importance.Entry {
    guard entry.sums.allSatisfy({ $0.isFinite && $0 >= 0 }), entry.counts.allSatisfy({ $0.isFinite && $0 >= 0 }) else {
      throw .invalidEntry(path: path, tensor: name, reason: "a sum or count is negative or not finite")
    }
    return entry
  }

  private static func floats(of tensor: TensorRef, path: FilePath) throws(ImportanceError) -> [Float] {
    guard tensor.format == .f32, tensor.shape.dimensions.count <= 2 else {
      throw .invalidEntry(path: path, tensor: tensor.name, reason: "is not a matrix of F32")
    }
    do {
      let bytes = try tensor.readAll()
      return stride(from: 0, to: bytes.count, by: 4).map { at in
        Float(bitPattern: bytes[at..<at + 4].reversed().reduce(UInt32(0)) { bits, byte in bits << 8 | UInt32(byte) })
      }
    } catch { throw .file(error) }
  }

  /// The bytes that llama-imatrix would write for the same sums: names in order, single matrices as vectors.
  public static func serialized(_ importance: Importance) throws(ImportanceError) -> [UInt8] {
    var metadata = Metadata()
    metadata["general.type"] = .string("imatrix")
    metadata["imatrix.datasets"] = .array(.string(importance.datasets))
    metadata["imatrix.chunk_count"] = .uint32(UInt32(clamping: importance.chunkCount))
    metadata["imatrix.chunk_size"] = .uint32(UInt32(clamping: importance.chunkSize))
    var tensors: [TensorRef] = []
    for (name, entry) in importance.entries.sorted(by: { $0.key < $1.key }) {
      for (suffix, values) in [(sumsSuffix, entry.sums), (countsSuffix, entry.counts)] {
        let columns = values.count / entry.counts.count
        var bytes = ByteWriter()
        for value in values { bytes.append(value) }
        tensors.append(
          TensorRef(
            name: ByteString(bytes: name.bytes + suffix.bytes),
            shape: entry.counts.count == 1 ? .vector(columns) : .matrix(rows: entry.counts.count, columns: columns),
            format: .f32, source: MemoryTensorSource(bytes: bytes.bytes, rowByteCount: columns * 4)))
      }
    }
    do {
      let layout = try GGUFLayout(metadata: metadata, tensors: tensors).files[0]
      var bytes = layout.header
      for placement in layout.placements {
        bytes += [UInt8](repeating: 0, count: placement.offset - bytes.count)
        bytes += try placement.tensor.readAll()
      }
      return bytes + [UInt8](repeating: 0, count: layout.byteCount - bytes.count)
    } catch let error as GGUFError {
      throw .gguf(error)
    } catch let error as FileError {
      throw .file(error)
    } catch {
      preconditionFailure("laying out memory throws nothing else")
    }
  }
}

/// Why a file gives no importances.
public enum ImportanceError: Error, Hashable, Sendable, CustomStringConvertible {
  case file(FileError)
  case gguf(GGUFError)
  /// A GGUF that holds something else, or bytes that are neither kind.
  case notImportance(path: FilePath)
  case invalidEntry(path: FilePath, tensor: ByteString, reason: String)
  /// The old kind ends early, or holds a count that the file could not.
  case truncated(path: FilePath, offset: Int)

  public var description: String {
    switch self {
    case .file(let error): "\(error)"
    case .gguf(let error): "\(error)"
    case .notImportance(let path):
      "\(path): not an imatrix; make one with: quern imatrix MODEL --text FILE -o imatrix.gguf, or llama-imatrix"
    case .invalidEntry(let path, let tensor, let reason): "\(path): tensor \(tensor): \(reason)"
    case .truncated(let path, let offset):
      "\(path): not an imatrix, or cut short: a count at offset \(offset) is more than the rest of the file holds"
    }
  }
}
