import Bytes
import Codecs
import IR
import Kernels

/// How much input channels matter where no text was read: what a norm multiplies by, the layers behind it see.
///
/// A norm's output has mean square 1 over the channels before its weights, so E[x²] of a channel is about the square of
/// its weight. A tenth of the mean is added, since channels differ before the weights too.
enum NormImportance {
  /// The norm that a matrix's inputs come from, in blocks that norm first.
  private static func norm(before name: ByteString) -> ByteString? {
    if name == "output.weight" { return "output_norm.weight" }
    let parts = name.text.split(separator: ".")
    guard parts.count == 4, parts[0] == "blk", parts[3] == "weight" else { return nil }
    switch parts[2] {
    case "attn_q", "attn_k", "attn_v", "attn_qkv": return ByteString("blk.\(parts[1]).attn_norm.weight")
    case "ffn_gate", "ffn_up": return ByteString("blk.\(parts[1]).ffn_norm.weight")
    default: return nil
    }
  }

  /// A weight per column for a tensor that becomes `format`; nil where nothing is known.
  ///
  /// For the formats whose blocks of 256 share scales of scales: there it gains, and their search takes its time anyway.
  static func weights(of tensor: TensorRef, as format: BlockFormat, in model: Model, kernels: Kernels) -> [Float]? {
    guard format.elementsPerBlock == 256, tensor.shape.dimensions.count == 2, let name = norm(before: tensor.name),
      let norm = model[name], norm.shape.elementCount == tensor.shape.columns,
      let codec = Codec.for(norm.format, kernels: kernels), let bytes = try? norm.readAll()
    else { return nil }
    var values = [Float](repeating: 0, count: tensor.shape.columns)
    var span = values.mutableSpan
    codec.decode(bytes.rawSpan, into: &span)
    let squares = values.map { $0 * $0 }
    let mean = squares.reduce(0, +) / Float(squares.count)
    guard mean.isFinite, mean > 0 else { return nil }
    return squares.map { $0 + 0.1 * mean }
  }
}
