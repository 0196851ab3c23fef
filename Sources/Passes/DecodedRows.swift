import Bytes
import Codecs
import IR
import Kernels

/// Decoded rows of a tensor, one piece after the other in the same memory.
struct DecodedRows {
  private let tensor: TensorRef
  private let codec: Codec
  private var bytes: [UInt8] = []
  private(set) var values: [Float] = []

  /// Nil where a compressed file would have to be expanded once more for them.
  init?(of tensor: TensorRef, _ kernels: Kernels) {
    guard tensor.source.isReady, tensor.source.forwardOffset == nil,
      let codec = Codec.for(tensor.format, kernels: kernels)
    else { return nil }
    self.tensor = tensor
    self.codec = codec
  }

  /// False where the file has an error. Whoever writes the tensor says so.
  mutating func read(_ rows: Range<Int>) -> Bool {
    let count = rows.count * tensor.shape.columns
    if values.count != count {
      values = [Float](repeating: 0, count: count)
      bytes = [UInt8](repeating: 0, count: rows.count * tensor.rowByteCount)
    }
    do {
      let tensor = tensor
      try bytes.withMutableRawSpan { (span) throws(FileError) in try tensor.read(rows: rows, into: &span) }
    } catch { return false }
    Self.decode(bytes, into: &values, codec)
    return true
  }

  private static func decode(_ bytes: [UInt8], into values: inout [Float], _ codec: Codec) {
    var span = values.mutableSpan
    codec.decode(bytes.rawSpan, into: &span)
  }
}
