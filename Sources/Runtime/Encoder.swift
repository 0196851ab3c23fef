import Catalog
public import Kernels

/// One sequence for an encoder, with what some families tell about each token.
public struct EncoderInput: Sendable {
  public var ids: [Int]
  /// Which sentence a token is of; nil: not given, which is 0 in most families and nothing at all in XLNet.
  public var types: [Int]?
  /// Which task (ERNIE); nil: 0.
  public var tasks: [Int]?

  public init(ids: [Int], types: [Int]? = nil, tasks: [Int]? = nil) {
    self.ids = ids
    self.types = types
    self.tasks = tasks
  }
}

/// Runs whole sequences through a bidirectional stack, several of them beside each other.
///
/// Linear layers take the rows of all sequences together; attention goes sequence by sequence, so a sequence's result
/// does not depend on the others. Not for use from several threads at once.
public final class Encoder {
  public let transformer: Transformer
  /// The most tokens of a batch.
  public let rows: Int
  private let runner: BlockRunner
  private var caches: [KeyValueCache] = []
  private var rotary: RotaryTables?
  private var biases: [DistanceBias] = []
  private var biasLimit = 0

  /// What became of a batch: valid until the next.
  public struct Batch {
    /// Normed final states of all tokens. [rows, width]
    public let states: Matrix
    /// The rows of each sequence.
    public let ranges: [Range<Int>]
  }

  /// Called with each layer's number and the residual stream after it, when set.
  public var observer: ((Int, Matrix) -> Void)?

  /// - Precondition: the transformer is an encoder or an encoder–decoder.
  public init(_ transformer: Transformer, rows: Int) {
    guard let stack = transformer.encoder else { preconditionFailure("a decoder does not encode") }
    self.transformer = transformer
    self.rows = rows
    runner = BlockRunner(stack, rows: rows, processor: transformer.processor)
  }

  /// Bytes that an encoder for batches of this many tokens allocates; a float, for the number may be absurd.
  public static func byteCount(for transformer: Transformer, rows: Int) -> Double {
    guard let stack = transformer.encoder else { return 0 }
    let heads = stack.blocks.map { $0.attention.heads.keyWidth + $0.attention.heads.valueWidth }.max() ?? 0
    let width = transformer.arithmetic.cacheElement.byteCount(of: 1)
    let floats = BufferPlan(stack).floatsPerRow + RotaryTables.floatsPerPosition(transformer.configuration)
    var bytes = Double(rows) * (Double(floats) * 4 + Double(heads * width))
    if stack.addsDistances { bytes += DistanceBias.byteCount(heads: transformer.configuration.headCount, limit: rows) }
    if transformer.configuration.graph.positions.contains(.transformerXL) {
      bytes += Double(rows) * Double(rows) * Double(2 * transformer.configuration.headCount * 4)
    }
    return bytes
  }

  /// The most tokens of one sequence; nil where nothing limits it.
  public var sequenceLimit: Int? { runner.stack.embedding.positionLimit }

  /// Runs the sequences, which have at most `rows` tokens in all.
  public func run(_ sequences: [EncoderInput]) throws(RuntimeError) -> Batch {
    let total = sequences.reduce(0) { $0 + $1.ids.count }
    guard total <= rows else { throw .contextExceeded(positions: total, capacity: rows) }
    let embedding = runner.stack.embedding
    var all = InputTokens(ids: [], positions: [])
    var segments: [SequenceSegment] = []
    for sequence in sequences where !sequence.ids.isEmpty {
      let input = embedding.input(sequence, from: 0)
      try embedding.check(input)
      segments.append(segment(sequence, index: segments.count, from: all.ids.count))
      all.append(input)
    }
    let longest = sequences.map(\.ids.count).max() ?? 0
    prepare(longest: longest)
    let state = runner.state(rows: total)
    guard total > 0 else { return Batch(states: state, ranges: sequences.map { _ in 0..<0 }) }
    runner.embed(all, into: state)
    let positions = segments.flatMap { $0.rows.indices.map { Int32($0) } }
    let context = BatchContext(
      segments: segments, positions: rotary == nil || segments.count == 1 ? .from(0) : .each(positions),
      blockPositions: nil, rotary: rotary, biases: biases)
    let states = runner.run(state, in: context, finalPositions: all.positions, observer: observer)
    var ranges: [Range<Int>] = []
    for sequence in sequences {
      let start = ranges.last?.upperBound ?? 0
      ranges.append(start..<start + sequence.ids.count)
    }
    return Batch(states: states, ranges: ranges)
  }

  /// A sequence's rows, and a cache for its keys and values that every layer uses in turn.
  private func segment(_ sequence: EncoderInput, index: Int, from row: Int) -> SequenceSegment {
    let count = sequence.ids.count
    let heads = runner.stack.blocks[0].attention.heads
    if index == caches.count || caches[index].capacity < count {
      let cache = KeyValueCache(
        kvHeads: heads.kvCount, capacity: count, keyDim: heads.keyLength, valueDim: heads.valueLength,
        element: transformer.arithmetic.cacheElement)
      if index == caches.count { caches.append(cache) } else { caches[index] = cache }
    }
    return SequenceSegment(
      rows: row..<row + count, position: 0, caches: [caches[index]],
      spans: [
        AttentionSpan(rows: row..<row + count, position: 0, length: count, isCausal: !runner.stack.isBidirectional)
      ],
      types: sequence.types)
  }

  private func prepare(longest: Int) {
    let configuration = transformer.configuration
    if rotary.map({ $0.full.positions < longest || configuration.rotary.changes(from: $0.length, to: longest) }) ?? true
    {
      rotary = RotaryTables(configuration, capacity: max(1, longest), length: longest)
    }
    if biasLimit < longest, runner.stack.addsDistances {
      biases = runner.stack.distanceBiases(limit: longest)
      biasLimit = longest
    }
  }
}
