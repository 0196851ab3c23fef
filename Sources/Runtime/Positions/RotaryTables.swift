import Catalog
import Kernels

/// The angles of a model's rotary positions: of its layers, and of those that slide where they differ.
struct RotaryTables {
  let full: RotaryTable
  let sliding: RotaryTable
  /// The length of the sequences that the angles are for.
  let length: Int

  /// Nil where the model has no rotary positions.
  init?(_ configuration: TransformerConfiguration, capacity: Int, length: Int) {
    guard configuration.graph.positions.contains(.rotary) else { return nil }
    full = RotaryTable(configuration.rotary, capacity: capacity, length: length)
    sliding =
      configuration.slidingRotary == configuration.rotary
      ? full : RotaryTable(configuration.slidingRotary, capacity: capacity, length: length)
    self.length = length
  }

  /// Floats of both for each position.
  static func floatsPerPosition(_ configuration: TransformerConfiguration) -> Int {
    let sliding = configuration.slidingRotary == configuration.rotary ? 0 : configuration.slidingRotary.dimensionCount
    return configuration.rotary.dimensionCount + sliding
  }
}

extension RotaryTable {
  convenience init(_ rotary: RotaryEmbedding, capacity: Int, length: Int) {
    self.init(
      inverseFrequencies: rotary.inverseFrequencies(length: length).map(Float.init), positions: capacity,
      attentionFactor: Float(rotary.attentionFactor))
  }
}
