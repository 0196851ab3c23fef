import Bytes
import Codecs
import IR
import Kernels

/// Heads in a GGUF file's metadata: llama.cpp refuses a file with a tensor that it does not know and ignores metadata, so
/// a masked-language-model head lies there, as F32 (`quern.tensor.NAME`, with its axes in `quern.shape.NAME`).
enum GGUFHeads {
  private static let tensorPrefix = "quern.tensor."
  private static let shapePrefix = "quern.shape."

  /// The tensors that the metadata holds; what is not one of ours is left alone.
  static func read(_ metadata: Metadata) -> [TensorRef] {
    metadata.entries.compactMap { entry in
      guard entry.key.text.hasPrefix(tensorPrefix), case .array(.float32(let values)) = entry.value else { return nil }
      let name = String(entry.key.text.dropFirst(tensorPrefix.count))
      let axes = metadata[ByteString(shapePrefix + name)]?.array?.ints ?? [values.count]
      guard let shape = Shape(axes), shape.elementCount == values.count, shape.columns > 0 else { return nil }
      var bytes = ByteWriter()
      for value in values { bytes.append(value) }
      return TensorRef(
        name: ByteString(name), shape: shape, format: .f32,
        source: MemoryTensorSource(bytes: bytes.bytes, rowByteCount: shape.columns * 4))
    }
  }

  /// - Throws: what reading the tensor throws.
  static func entries(for tensor: TensorRef) throws(ConversionError) -> [Metadata.Entry] {
    guard let codec = Codec.for(tensor.format, kernels: .best()) else {
      throw .inexpressible("\(tensor.name) is \(tensor.format.name), which no codec decodes")
    }
    let bytes: [UInt8]
    do { bytes = try tensor.readAll() } catch { throw .file(error) }
    var values = [Float](repeating: 0, count: tensor.shape.elementCount)
    var span = values.mutableSpan
    codec.decode(bytes.rawSpan, into: &span)
    let axes = tensor.shape.dimensions.map { UInt32($0) }
    return [
      .init(key: ByteString(shapePrefix + tensor.name.text), value: .array(.uint32(axes))),
      .init(key: ByteString(tensorPrefix + tensor.name.text), value: .array(.float32(values))),
    ]
  }
}
