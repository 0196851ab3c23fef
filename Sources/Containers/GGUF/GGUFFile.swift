public import Bytes
public import IR
public import SystemPackage

/// A GGUF model: one file, or all the parts of a split one, whichever part is named.
public struct GGUFFile: Sendable {
  /// In order; one, unless the model is split.
  public let parts: [GGUFPart]
  /// All pairs in file order. Of a split model, without the three `split.` keys.
  public let metadata: Metadata
  /// In file order, part after part; `name` is `sourceName`, shapes are outermost first.
  public let tensors: [TensorRef]

  public var alignment: Int { parts[0].alignment }

  /// Reads the headers only. Of a split model, the other parts must lie beside the given one, under the names that
  /// llama.cpp expects.
  public init(_ path: FilePath, limits: Limits = Limits()) throws(GGUFError) {
    let named = try GGUFPart(path, limits: limits)
    guard let count = try Self.splitCount(of: named), count > 1 else {
      parts = [named]
      metadata = named.metadata
      tensors = named.tensors
      return
    }
    parts = try Self.openParts(of: count, including: named, limits: limits)
    var metadata = Metadata()
    var tensors: [TensorRef] = []
    var seen: Set<ByteString> = []
    for part in parts {
      for entry in part.metadata.entries where metadata[entry.key] == nil { metadata[entry.key] = entry.value }
      for tensor in part.tensors {
        guard seen.insert(tensor.name).inserted else {
          throw .duplicateTensor(path: part.file.path, tensor: tensor.name, offset: 0)
        }
      }
      tensors += part.tensors
      // Parts written by older tools leave the total out of all but the first.
      if let total = part.metadata[GGUFSplitKey.tensorCount]?.int, total != parts.reduce(0, { $0 + $1.tensors.count }) {
        throw .invalidSplit(
          path: part.file.path, key: GGUFSplitKey.tensorCount,
          reason: "\(total), but the parts hold \(parts.reduce(0) { $0 + $1.tensors.count })")
      }
    }
    metadata.removeAll { $0 == GGUFSplitKey.number || $0 == GGUFSplitKey.count || $0 == GGUFSplitKey.tensorCount }
    self.metadata = metadata
    self.tensors = tensors
  }

  private static func splitCount(of part: GGUFPart) throws(GGUFError) -> Int? {
    guard let value = part.metadata[GGUFSplitKey.count] else { return nil }
    guard let count = value.int, (0...0xFFFF).contains(count) else {
      throw .invalidSplit(path: part.file.path, key: GGUFSplitKey.count, reason: "not a number of parts")
    }
    return count
  }

  private static func openParts(
    of count: Int, including named: GGUFPart, limits: Limits
  ) throws(GGUFError) -> [GGUFPart] {
    let path = named.file.path
    guard let number = named.metadata[GGUFSplitKey.number]?.int, (0..<count).contains(number) else {
      throw .invalidSplit(path: path, key: GGUFSplitKey.number, reason: "missing, or not below \(count)")
    }
    let suffix = GGUFSplitKey.suffix(part: number, of: count)
    guard let name = path.lastComponent?.string, name.hasSuffix(suffix) else {
      throw .unnumberedPart(path: path, expectedSuffix: suffix)
    }
    let stem = name.dropLast(suffix.count)
    var parts: [GGUFPart] = []
    var missing: [String] = []
    for index in 0..<count {
      if index == number {
        parts.append(named)
        continue
      }
      let sibling = stem + GGUFSplitKey.suffix(part: index, of: count)
      do throws(GGUFError) {
        parts.append(try GGUFPart(path.removingLastComponent().appending(String(sibling)), limits: limits))
      } catch .file(.system(_, _, .noSuchFileOrDirectory)) {
        missing.append(String(sibling))
      }
    }
    if !missing.isEmpty { throw .missingParts(path: path, names: missing) }
    for (index, part) in parts.enumerated() {
      guard part.metadata[GGUFSplitKey.number]?.int == index else {
        throw .invalidSplit(path: part.file.path, key: GGUFSplitKey.number, reason: "not \(index), which its name says")
      }
      guard part.metadata[GGUFSplitKey.count]?.int == count else {
        throw .invalidSplit(path: part.file.path, key: GGUFSplitKey.count, reason: "not \(count), as in \(name)")
      }
    }
    return parts
  }
}

/// The keys and names by which parts of a split model find each other.
enum GGUFSplitKey {
  static let number: ByteString = "split.no"
  static let count: ByteString = "split.count"
  static let tensorCount: ByteString = "split.tensors.count"

  /// `-00001-of-00003.gguf` for part 0 of 3.
  static func suffix(part: Int, of count: Int) -> String { "-\(padded(part + 1))-of-\(padded(count)).gguf" }

  private static func padded(_ number: Int) -> String {
    let digits = String(number)
    return String(repeating: "0", count: max(0, 5 - digits.count)) + digits
  }
}
