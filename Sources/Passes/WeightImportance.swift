package import Bytes
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
/// Needs sums over the feed-forward matrices. Rows that `sums(for:)` have seen by then are not read again; who reads
/// tensors behind their `sources(of:as:)` lets them see all. Safe from any thread.
package final class WeightImportance: Sendable {
  private let model: Model
  private let kernels: Kernels
  /// As far as each has one way down; empty where nothing can be told.
  private let layers: [Layer]

  private struct Layer: Sendable {
    /// Per channel of the residual stream where the layer begins, relative to the median; nil where it cannot be told.
    let strength: Deferred<[Float]?>
    let down: SquaredRowSums
    /// Scaled as the norm before them scales the channels.
    let gate, up: SquaredRowSums?
  }

  package init(_ model: Model, kernels: Kernels) {
    self.model = model
    self.kernels = kernels
    layers = Self.layers(of: model, kernels)
  }

  /// A weight per column for a tensor that becomes `format`; nil where nothing is known, or nothing stands out.
  ///
  /// Formats whose blocks of 256 share scales of scales gain from the norms too, and their search takes its time anyway.
  /// Else only the few strong columns count; most matrices have none and are not slowed down. Eight bits need no help.
  package func weights(of tensor: TensorRef, as format: BlockFormat) -> [Float]? {
    guard Self.isHelped(format), tensor.shape.dimensions.count == 2, let place = Place(tensor.name) else { return nil }
    let found: [Float]?
    switch place {
    case .behindNorm(let layer, let norm):
      found =
        format.elementsPerBlock == 256 ? normed(norm, layer) : layer.flatMap(strength).flatMap(Self.strongChannels)
    case .neurons(let layer): found = neurons(layer)
    }
    return found?.count == tensor.shape.columns ? found : nil
  }

  private static func isHelped(_ format: BlockFormat) -> Bool { format.kind == .packed && format.bitsPerElement < 8 }

  /// What the weights of some tensors will be told from, by the tensor whose rows it sums: who decodes these rows anyway
  /// may let it gather them.
  ///
  /// - Parameter targets: what each tensor becomes.
  package func sums(for targets: [ByteString: BlockFormat]) -> [ByteString: SquaredRowSums] {
    var sums: [ByteString: SquaredRowSums] = [:]
    var depth = 0
    for (name, format) in targets where Self.isHelped(format) {
      switch Place(name) {
      case .behindNorm(let layer?, _): depth = max(depth, layer)
      case .neurons(let layer) where layers.indices.contains(layer):
        depth = max(depth, layer)
        sums[Self.name(layer, "ffn_gate")] = layers[layer].gate
        sums[Self.name(layer, "ffn_up")] = layers[layer].up
      default: break
      }
    }
    for (index, layer) in layers.prefix(depth).enumerated() { sums[Self.name(index, "ffn_down")] = layer.down }
    return sums
  }

  /// The tensors whose rows tell the weights of this one, best read before it.
  package func sources(of tensor: ByteString, as format: BlockFormat) -> [ByteString] {
    guard Self.isHelped(format) else { return [] }
    return switch Place(tensor) {
    case .behindNorm(let layer?, _) where layer > 0: [Self.name(layer - 1, "ffn_down")]
    case .neurons(let layer): [Self.name(layer, "ffn_gate"), Self.name(layer, "ffn_up")]
    default: []
    }
  }

  private static func name(_ layer: Int, _ part: String) -> ByteString { ByteString("blk.\(layer).\(part).weight") }

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
        self = .behindNorm(layer: layer, norm: WeightImportance.name(layer, "attn_norm"))
      case "ffn_gate", "ffn_up": self = .behindNorm(layer: layer, norm: WeightImportance.name(layer, "ffn_norm"))
      case "ffn_down": self = .neurons(layer: layer)
      default: return nil
      }
    }
  }

  private func strength(_ layer: Int) -> [Float]? {
    layers.indices.contains(layer) ? layers[layer].strength.value : nil
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
    guard layers.indices.contains(layer), let gates = layers[layer].gate?.take(), let ups = layers[layer].up?.take(),
      gates.count == ups.count, !gates.isEmpty
    else { return nil }
    let products = zip(gates, ups).map { $0 * $1 }
    let median = products.sorted()[products.count / 2]
    guard median > 0 else { return nil }
    let weights = products.map { Float(min(1e6, $0 / median)) }
    return weights.contains { $0 > 10 } ? weights.map { $0 > 10 ? $0 : 1 } : nil
  }

  private static func layers(of model: Model, _ kernels: Kernels) -> [Layer] {
    // Norms behind a layer scale what it writes; experts write in turns.
    guard !model.tensors.contains(where: { $0.name.text.contains(".post_") }),
      let embedding = model["token_embd.weight"]
    else { return [] }
    let embedded = Deferred { columnSums(of: embedding, kernels) }
    var written = Deferred<[Double]?> { [Double](repeating: 0, count: embedding.shape.columns) }
    var layers: [Layer] = []
    // Each asks the one before it, which a file must not make a chain without end.
    while layers.count < 1024, let matrix = model[name(layers.count, "ffn_down")],
      matrix.shape.rows == embedding.shape.columns
    {
      let index = layers.count
      let (before, down) = (written, SquaredRowSums(of: matrix, kernels: kernels))
      let strength = Deferred { embedded.value.flatMap { embedded in before.value.flatMap { relative(embedded, $0) } } }
      let scales = Deferred {
        scaled(strength.value, by: model[name(index, "ffn_norm")], kernels)
      }
      func sums(_ part: String) -> SquaredRowSums? {
        model[name(index, part)].map { .init(of: $0, scales: scales, kernels: kernels) }
      }
      layers.append(Layer(strength: strength, down: down, gate: sums("ffn_gate"), up: sums("ffn_up")))
      written = Deferred { before.value.flatMap { before in down.take().map { zip(before, $0).map(+) } } }
    }
    return layers
  }

  private static func scaled(_ strength: [Float]?, by norm: TensorRef?, _ kernels: Kernels) -> [Float]? {
    guard let strength, let norm = norm.flatMap({ values(of: $0, kernels) }), norm.count == strength.count else {
      return nil
    }
    return zip(norm, strength).map { $0 * $1 }
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
    var reader = DecodedRows(of: matrix, kernels)
    var sums = [Double](repeating: 0, count: matrix.shape.columns)
    for row in stride(from: 0, to: matrix.shape.rows, by: max(1, matrix.shape.rows / 1000)) {
      guard reader?.read(row..<row + 1) == true, let values = reader?.values else { return nil }
      for (column, value) in values.enumerated() where value.isFinite {
        sums[column] += Double(value) * Double(value)
      }
    }
    return sums
  }

  private static func values(of tensor: TensorRef, _ kernels: Kernels) -> [Float]? {
    var reader = DecodedRows(of: tensor, kernels)
    return reader?.read(0..<tensor.shape.rows) == true ? reader?.values : nil
  }
}
