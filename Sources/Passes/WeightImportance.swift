package import Bytes
import Codecs
package import IR
package import Kernels

/// How much input channels matter where no text was read: what the weights alone tell.
///
/// In blocks that norm first, a matrix reads channels of the residual stream, each scaled by the norm. A channel is as
/// strong as what is written to it: by the embedding, and by the ways down of the layers before. A few are far stronger
/// than the rest (Sun et al. 2024, "Massive Activations in Large Language Models"), and these few rows of the ways down
/// show it: on SmolLM2 the strongest channel is among the first two or three by them in every layer, and rounding with
/// these weights loses a fifth less to Q4_0.
package struct WeightImportance {
  private let model: Model
  private let kernels: Kernels
  /// Per layer, per channel of the residual stream, relative to the median; empty where they cannot be told.
  private lazy var strengths: [[Float]] = findStrengths()

  package init(_ model: Model, kernels: Kernels) {
    self.model = model
    self.kernels = kernels
  }

  /// A weight per column for a tensor that becomes `format`; nil where nothing is known, or nothing stands out.
  ///
  /// Formats whose blocks of 256 share scales of scales gain from all that is known, and their search takes its time
  /// anyway. The others gain from the few strong channels only; most models have none and are not slowed down. Eight
  /// bits need no help.
  package mutating func weights(of tensor: TensorRef, as format: BlockFormat) -> [Float]? {
    guard format.kind == .packed, format.bitsPerElement < 8, tensor.shape.dimensions.count == 2,
      let (layer, normName) = Self.reader(tensor.name)
    else { return nil }
    var strength: [Float]? = layer.flatMap { strengths.indices.contains($0) ? strengths[$0] : nil }
    if strength?.count != tensor.shape.columns { strength = nil }
    guard format.elementsPerBlock == 256 else {
      guard let strength, strength.contains(where: { $0 > Self.strong }) else { return nil }
      return strength.map { $0 > Self.strong ? $0 * $0 : 1 }
    }
    guard let norm = model[normName], norm.shape.elementCount == tensor.shape.columns,
      let squares = values(of: norm)?.map({ $0 * $0 })
    else { return nil }
    let mean = squares.reduce(0, +) / Float(squares.count)
    guard mean.isFinite, mean > 0 else { return nil }
    // A tenth of the mean, since a norm's weight is not all that a channel is scaled by.
    return squares.indices.map { index in
      (squares[index] + 0.1 * mean) * (strength.map { $0[index] * $0[index] } ?? 1)
    }
  }

  /// Times the median.
  private static let strong: Float = 3

  /// The layer (nil: behind all) and the norm that a matrix's inputs come from.
  private static func reader(_ name: ByteString) -> (layer: Int?, norm: ByteString)? {
    if name == "output.weight" { return (nil, "output_norm.weight") }
    let parts = name.text.split(separator: ".")
    guard parts.count == 4, parts[0] == "blk", parts[3] == "weight" else { return nil }
    switch parts[2] {
    case "attn_q", "attn_k", "attn_v", "attn_qkv":
      return (Int(parts[1]), ByteString("blk.\(parts[1]).attn_norm.weight"))
    case "ffn_gate", "ffn_up": return (Int(parts[1]), ByteString("blk.\(parts[1]).ffn_norm.weight"))
    default: return nil
    }
  }

  /// Reads the ways down once more, and a part of the embedding: about a quarter of a model.
  private func findStrengths() -> [[Float]] {
    // Norms behind a layer scale what it writes; experts write in turns.
    guard !model.tensors.contains(where: { $0.name.text.contains(".post_") }),
      let embedding = model["token_embd.weight"], let written = columnSums(of: embedding)
    else { return [] }
    var down = [Double](repeating: 0, count: written.count)
    var strengths: [[Float]] = []
    while let matrix = model[ByteString("blk.\(strengths.count).ffn_down.weight")], matrix.shape.rows == down.count {
      guard let strength = Self.relative(written, down), let sums = rowSums(of: matrix) else { return [] }
      strengths.append(strength)
      for index in down.indices { down[index] += sums[index] }
    }
    return strengths
  }

  /// The sum of both, each by its own mean, relative to the median.
  private static func relative(_ written: [Double], _ down: [Double]) -> [Float]? {
    func shares(_ sums: [Double]) -> [Double] {
      let mean = sums.reduce(0, +) / Double(max(1, sums.count))
      return sums.map { mean > 0 ? $0 / mean : 0 }
    }
    let total = zip(shares(written), shares(down)).map { $0 + $1 }
    guard let median = total.isEmpty ? nil : total.sorted()[total.count / 2], median > 0 else { return nil }
    return total.map { Float($0 / median) }
  }

  /// Σ x² of each column, over at most a thousand rows.
  private func columnSums(of matrix: TensorRef) -> [Double]? {
    var sums = [Double](repeating: 0, count: matrix.shape.columns)
    let step = max(1, matrix.shape.rows / 1000)
    for row in stride(from: 0, to: matrix.shape.rows, by: step) {
      guard let values = values(of: matrix, rows: row..<row + 1) else { return nil }
      for (column, value) in values.enumerated() where value.isFinite {
        sums[column] += Double(value) * Double(value)
      }
    }
    return sums
  }

  /// Σ x² of each row.
  private func rowSums(of matrix: TensorRef) -> [Double]? {
    let columns = matrix.shape.columns
    let step = max(1, (1 << 16) / max(1, columns))
    var sums: [Double] = []
    for first in stride(from: 0, to: matrix.shape.rows, by: step) {
      let rows = first..<min(first + step, matrix.shape.rows)
      guard let values = values(of: matrix, rows: rows) else { return nil }
      for row in 0..<rows.count {
        sums.append(kernels.squaredSum(values.span.extracting(row * columns..<(row + 1) * columns)))
      }
    }
    return sums
  }

  /// Nil where a compressed file would have to be expanded once more for them.
  private func values(of tensor: TensorRef, rows: Range<Int>? = nil) -> [Float]? {
    guard tensor.source.isReady, tensor.source.forwardOffset == nil,
      let codec = Codec.for(tensor.format, kernels: kernels)
    else { return nil }
    let rows = rows ?? 0..<tensor.shape.rows
    var bytes = [UInt8](repeating: 0, count: rows.count * tensor.rowByteCount)
    do {
      try bytes.withMutableRawSpan { (span) throws(FileError) in try tensor.read(rows: rows, into: &span) }
    } catch {
      // Whoever writes the tensor says so.
      return nil
    }
    var values = [Float](repeating: 0, count: rows.count * tensor.shape.columns)
    var span = values.mutableSpan
    codec.decode(bytes.rawSpan, into: &span)
    return values
  }
}
