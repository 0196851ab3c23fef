import Kernels

/// What the attention of one batch of rows needs besides the rows.
struct BatchContext {
  let segments: [SequenceSegment]
  /// Of all rows, for rotary positions.
  let positions: TokenPositions
  /// Of the second half of each head, where positions have two dimensions.
  let blockPositions: TokenPositions?
  let rotary: RotaryTables?
  /// By layer; empty where nothing is added to the scores.
  let biases: [DistanceBias]
}

/// Rows of a batch that belong to one sequence.
struct SequenceSegment {
  let rows: Range<Int>
  /// Of the first row, in the caches.
  let position: Int
  /// One for each layer, or one that every layer uses in turn.
  let caches: [KeyValueCache]
  let spans: [AttentionSpan]
  /// The encoder's keys and values for each layer of a decoder.
  var sources: [KeyValueCache] = []
  var sourceLength = 0
  /// Segments of the tokens, for relative attention.
  var types: [Int]?

  func cache(ofLayer layer: Int) -> KeyValueCache { caches.count == 1 ? caches[0] : caches[layer] }
}

/// Rows that see keys in the same way.
struct AttentionSpan {
  let rows: Range<Int>
  let position: Int
  /// Keys present.
  let length: Int
  let isCausal: Bool
}
