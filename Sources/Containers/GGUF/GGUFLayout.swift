public import IR
import Bytes

/// Where every byte of a GGUF model will go: one file, or parts as llama-gguf-split cuts them.
///
/// The header is what llama.cpp and gguf-py write for the same pairs and tensors, byte for byte: version 3, tensors in the
/// given order, each at the next multiple of the alignment, zeros between and after.
public struct GGUFLayout: Sendable {
  public let files: [FileLayout]

  /// ggml's array for a name holds 64 bytes with its terminator.
  public static let longestTensorName = 63

  /// - Parameters:
  ///   - stem: the files' name without `.gguf`.
  ///   - alignment: in bytes; nil takes `general.alignment`, or 32. Another than 32 is recorded in every part.
  ///   - maximumPartBytes: of tensor data in one part; a single larger tensor gets a part of its own. Nil: one file.
  public init(
    stem: String = "model", metadata: Metadata, tensors: [TensorRef], alignment: Int? = nil,
    maximumPartBytes: Int? = nil
  ) throws(GGUFError) {
    var metadata = metadata
    let alignment = alignment ?? metadata["general.alignment"]?.int ?? GGUFHeaderParser.defaultAlignment
    guard alignment >= 8, alignment & (alignment - 1) == 0, let recorded = UInt32(exactly: alignment) else {
      throw .cannotLayOut(reason: "alignment \(alignment) is not a power of two of at least 8")
    }
    if alignment != GGUFHeaderParser.defaultAlignment || metadata["general.alignment"] != nil {
      metadata["general.alignment"] = .uint32(recorded)
    }
    try Self.check(tensors)
    let parts = Self.split(tensors, maximumPartBytes: maximumPartBytes)
    guard parts.count > 1 else {
      files = [Self.file(name: stem + ".gguf", metadata: metadata, tensors: tensors, alignment: alignment)]
      return
    }
    guard parts.count <= 0xFFFF else { throw .cannotLayOut(reason: "\(parts.count) parts; choose larger ones") }
    files = parts.enumerated().map { number, part in
      var pairs = number == 0 ? metadata : Metadata()
      if alignment != GGUFHeaderParser.defaultAlignment { pairs["general.alignment"] = .uint32(recorded) }
      pairs[GGUFSplitKey.number] = nil
      pairs[GGUFSplitKey.count] = nil
      pairs[GGUFSplitKey.tensorCount] = nil
      // In the order in which llama-gguf-split leaves them.
      pairs[GGUFSplitKey.number] = .uint16(UInt16(number))
      pairs[GGUFSplitKey.tensorCount] = .int32(Int32(tensors.count))
      pairs[GGUFSplitKey.count] = .uint16(UInt16(parts.count))
      return Self.file(
        name: stem + GGUFSplitKey.suffix(part: number, of: parts.count), metadata: pairs, tensors: part,
        alignment: alignment)
    }
  }

  private static func check(_ tensors: [TensorRef]) throws(GGUFError) {
    var names: Set<ByteString> = []
    for tensor in tensors {
      let refuse = { (reason: String) in GGUFError.cannotStore(tensor: tensor.name, reason: reason) }
      guard !tensor.name.isEmpty, tensor.name.count <= longestTensorName else {
        throw refuse("its name has \(tensor.name.count) bytes, and llama.cpp reads up to \(longestTensorName)")
      }
      guard names.insert(tensor.name).inserted else { throw refuse("its name is given twice") }
      guard tensor.format.ggmlType != nil else {
        throw refuse("ggml has no type for \(tensor.format.name); choose another type, or write safetensors")
      }
      guard tensor.shape.dimensions.count <= 4 else { throw refuse("\(tensor.shape) has more than 4 axes") }
      guard tensor.format.byteCount(elements: tensor.shape.columns) != nil else {
        throw refuse("rows of \(tensor.shape.columns) do not fill \(tensor.format.name) blocks")
      }
    }
    guard Int32(exactly: tensors.count) != nil else { throw .cannotLayOut(reason: "\(tensors.count) tensors") }
  }

  /// As llama-gguf-split counts: padded tensor bytes, without headers.
  private static func split(_ tensors: [TensorRef], maximumPartBytes: Int?) -> [[TensorRef]] {
    guard let maximumPartBytes else { return [tensors] }
    var parts: [[TensorRef]] = [[]]
    var byteCount = 0
    for tensor in tensors {
      let padded = padded(tensor.byteCount, to: GGUFHeaderParser.defaultAlignment)
      if !parts[parts.count - 1].isEmpty, padded > maximumPartBytes - byteCount {
        parts.append([])
        byteCount = 0
      }
      parts[parts.count - 1].append(tensor)
      byteCount += padded
    }
    return parts
  }

  private static func file(name: String, metadata: Metadata, tensors: [TensorRef], alignment: Int) -> FileLayout {
    var offsets: [Int] = []
    var end = 0
    for tensor in tensors {
      offsets.append(end)
      end = padded(end + tensor.byteCount, to: alignment)
    }
    let header = GGUFHeaderWriter.header(metadata: metadata, tensors: tensors, offsets: offsets, alignment: alignment)
    return FileLayout(
      name: name, header: header,
      placements: zip(tensors, offsets).map { .init(tensor: $0, offset: header.count + $1) },
      byteCount: header.count + end)
  }

  private static func padded(_ byteCount: Int, to alignment: Int) -> Int {
    (byteCount + alignment - 1) / alignment * alignment
  }
}
