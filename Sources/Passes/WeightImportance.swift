import Bytes
import Codecs
package import IR
package import Kernels

/// How much input channels matter where no text was read: what the weights alone tell.
///
/// In blocks that norm first, a matrix reads channels of the residual stream, each scaled by the norm. A channel is as
/// strong as what is written to it: by the embedding, and by the ways down of the layers before. A few are far stronger
/// than the rest (Sun et al. 2024, "Massive Activations in Large Language Models"), and these few rows of the ways down
/// show it. They come from single neurons, which show in what reaches their gate and their way up. On SmolLM2 the channel
/// with the largest mean square is among the first three by this in all but the last layers; the neurons that make such
/// channels, up to 30,000 times the median, are the first or second of their layer.
///
/// Reads the feed-forward matrices once more, when the weights are first asked for. Safe from any thread.
package final class WeightImportance: Sendable {
  private let model: Model
  private let kernels: Kernels
  /// Per layer, per channel of the residual stream, relative to the median; empty where they cannot be told.
  private let strengths: Deferred<[[Float]]>

  package init(_ model: Model, kernels: Kernels) {
    self.model = model
    self.kernels = kernels
    strengths = Deferred { Self.strengths(of: model, kernels) }
  }

  /// A weight per column for a tensor that becomes `format`; nil where nothing is known, or nothing stands out.
  ///
  /// Formats whose blocks of 256 share scales of scales gain from the norms too, and their search takes its time anyway.
  /// Else only the few strong columns count; most matrices have none and are not slowed down. Eight bits need no help.
  package func weights(of tensor: TensorRef, as format: BlockFormat) -> [Float]? {
    guard format.kind == .packed, format.bitsPerElement < 8, tensor.shape.dimensions.count == 2,
      let place = Place(tensor.name)
    else { return nil }
    let found: [Float]?
    switch place {
    case .behindNorm(let layer, let norm):
      found =
        format.elementsPerBlock == 256 ? normed(norm, layer) : layer.flatMap(strength).flatMap(Self.strongChannels)
    case .neurons(let layer): found = neurons(layer)
    }
    return found?.count == tensor.shape.columns ? found : nil
  }

  /// Where a matrix's inputs come from.
  private enum Place {
    /// `layer` is nil behind all of them.
    case behindNorm(layer: Int?, norm: ByteString)
    case neurons(layer: Int)

    init?(_ name: ByteString) {
      if name == "output.weight" {
        self = .behindNorm(layer: nil, norm: "output_norm.weight")
        return
      }
      let parts = name.text.split(separator: ".")
      guard parts.count == 4, parts[0] == "blk", parts[3] == "weight", let layer = Int(parts[1]) else { return nil }
      switch parts[2] {
      case "attn_q", "attn_k", "attn_v", "attn_qkv":
        self = .behindNorm(layer: layer, norm: ByteString("blk.\(layer).attn_norm.weight"))
      case "ffn_gate", "ffn_up": self = .behindNorm(layer: layer, norm: ByteString("blk.\(layer).ffn_norm.weight"))
      case "ffn_down": self = .neurons(layer: layer)
      default: return nil
      }
    }
  }

  private func strength(_ layer: Int) -> [Float]? {
    let strengths = strengths.value
    return strengths.indices.contains(layer) ? strengths[layer] : nil
  }

  /// From three times the median on; E[x²] grows with the square.
  private static func strongChannels(_ strength: [Float]) -> [Float]? {
    strength.contains { $0 > 3 } ? strength.map { $0 > 3 ? $0 * $0 : 1 } : nil
  }

  /// What a norm multiplies by, its readers see: its output has mean square 1 over the channels before its weights.
  private func normed(_ name: ByteString, _ layer: Int?) -> [Float]? {
    guard let norm = model[name], let squares = Self.values(of: norm, kernels)?.map({ $0 * $0 }) else { return nil }
    let mean = squares.reduce(0, +) / Float(max(1, squares.count))
    guard mean.isFinite, mean > 0 else { return nil }
    let strength = layer.flatMap(strength).flatMap { $0.count == squares.count ? $0 : nil }
    // A tenth of the mean, since a norm's weight is not all that a channel is scaled by.
    return squares.indices.map { index in
      (squares[index] + 0.1 * mean) * (strength.map { $0[index] * $0[index] } ?? 1)
    }
  }

  /// A neuron is gate times way up, so its mean square is about the product of theirs. From ten times the median on.
  private func neurons(_ layer: Int) -> [Float]? {
    func tensor(_ part: String) -> TensorRef? { model[ByteString("blk.\(layer).\(part).weight")] }
    guard let strength = strength(layer), let norm = tensor("ffn_norm"), let gate = tensor("ffn_gate"),
      let up = tensor("ffn_up"), let normValues = Self.values(of: norm, kernels), normValues.count == strength.count,
      gate.shape.columns == strength.count, up.shape == gate.shape
    else { return nil }
    let scales = zip(normValues, strength).map { $0 * $1 }
    guard let gates = Self.rowSums(of: gate, scales: scales, kernels),
      let ups = Self.rowSums(of: up, scales: scales, kernels)
    else { return nil }
    let products = zip(gates, ups).map { $0 * $1 }
    let median = products.sorted()[products.count / 2]
    guard median > 0 else { return nil }
    let weights = products.map { Float(min(1e6, $0 / median)) }
    return weights.contains { $0 > 10 } ? weights.map { $0 > 10 ? $0 : 1 } : nil
  }

  private static func strengths(of model: Model, _ kernels: Kernels) -> [[Float]] {
    // Norms behind a layer scale what it writes; experts write in turns.
    guard !model.tensors.contains(where: { $0.name.text.contains(".post_") }),
      let embedding = model["token_embd.weight"], let written = columnSums(of: embedding, kernels)
    else { return [] }
    var down = [Double](repeating: 0, count: written.count)
    var strengths: [[Float]] = []
    while let matrix = model[ByteString("blk.\(strengths.count).ffn_down.weight")], matrix.shape.rows == down.count {
      guard let strength = relative(written, down), let sums = rowSums(of: matrix, kernels) else { return [] }
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

  /// Σ x² of each column, over at most two thousand rows.
  private static func columnSums(of matrix: TensorRef, _ kernels: Kernels) -> [Double]? {
    var reader = Rows(of: matrix, kernels)
    var sums = [Double](repeating: 0, count: matrix.shape.columns)
    for row in stride(from: 0, to: matrix.shape.rows, by: max(1, matrix.shape.rows / 1000)) {
      guard reader?.read(row..<row + 1) == true, let values = reader?.values else { return nil }
      for (column, value) in values.enumerated() where value.isFinite {
        sums[column] += Double(value) * Double(value)
      }
    }
    return sums
  }

  /// Σ (scale · x)² of each row, with a scale per column.
  private static func rowSums(of matrix: TensorRef, scales: [Float]? = nil, _ kernels: Kernels) -> [Double]? {
    guard var reader = Rows(of: matrix, kernels) else { return nil }
    let columns = matrix.shape.columns
    let step = max(1, (1 << 16) / max(1, columns))
    var sums: [Double] = []
    for first in stride(from: 0, to: matrix.shape.rows, by: step) {
      let rows = first..<min(first + step, matrix.shape.rows)
      guard reader.read(rows) else { return nil }
      let values = reader.values.span
      for row in 0..<rows.count {
        let row = values.extracting(row * columns..<(row + 1) * columns)
        sums.append(scales.map { kernels.squaredSum(row, scales: $0.span) } ?? kernels.squaredSum(row))
      }
    }
    return sums
  }

  private static func values(of tensor: TensorRef, _ kernels: Kernels) -> [Float]? {
    var reader = Rows(of: tensor, kernels)
    return reader?.read(0..<tensor.shape.rows) == true ? reader?.values : nil
  }

  /// Decoded rows, one piece after the other in the same memory.
  private struct Rows {
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
}
