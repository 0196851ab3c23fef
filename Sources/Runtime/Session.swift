import Catalog
public import Kernels

/// One sequence of tokens running through a transformer that generates: its caches and its buffers, allocated once.
///
/// Not for use from several threads at once. Results depend on neither how tokens are batched nor on threads, but for
/// rotary positions whose scaling depends on the length of the sequence.
public final class Session {
  public let transformer: Transformer
  /// The most positions it can hold.
  public let capacity: Int
  /// Tokens taken so far: the position of the next one.
  public private(set) var position = 0

  /// The most tokens that go through the layers together.
  public static let batch = 512
  /// The most rows of logits that are computed together.
  public static let logitsBatch = 32

  private let runner: BlockRunner
  private let head: LanguageHead
  private let caches: [KeyValueCache]
  private var rotary: RotaryTables?
  private let biases: [DistanceBias]
  private let logitRows: Floats  // [logitsBatch, vocabulary]
  private let batchCapacity: Int
  /// An encoder–decoder's source: the cross-attention's keys and values for each layer.
  private var sources: [KeyValueCache] = []
  private var sourceLength = 0
  /// Where the context ends and its positions stop, in models whose context sees itself.
  private var prefix: PrefixPositions?
  /// Tokens so far, where the sequence may have to be computed again with other angles.
  private var history: [Int] = []
  /// Tokens of the last batch, and their normed final states.
  private var lastCount = 0
  private var lastStates: Matrix

  /// Called with each layer's number and the residual stream after it, when set.
  public var observer: ((Int, Matrix) -> Void)?

  /// - Precondition: the transformer is a decoder or an encoder–decoder.
  public init(_ transformer: Transformer, capacity: Int) {
    precondition(capacity > 0, "a session needs room for a token")
    guard let stack = transformer.decoder, let head = transformer.heads.language else {
      preconditionFailure("an encoder does not generate")
    }
    let configuration = transformer.configuration
    self.transformer = transformer
    self.head = head
    self.capacity = capacity
    caches = (0..<stack.layerCount).map { layer in
      let heads = stack.block(ofLayer: layer).attention.heads
      return KeyValueCache(
        kvHeads: heads.kvCount, capacity: capacity, keyDim: heads.keyLength, valueDim: heads.valueLength,
        element: transformer.cacheElement)
    }
    rotary = RotaryTables(configuration, capacity: capacity, length: 0)
    biases = stack.distanceBiases(limit: capacity)
    batchCapacity = Self.batchCapacity(stack, capacity: capacity)
    runner = BlockRunner(stack, rows: batchCapacity, processor: transformer.processor)
    lastStates = runner.state(rows: 0)
    logitRows = Floats(count: min(Self.logitsBatch, batchCapacity) * head.weights.rows)
  }

  private static func batchCapacity(_ stack: TransformerStack, capacity: Int) -> Int {
    // A context that sees itself goes through the layers as a whole.
    stack.configuration.graph.attention == .causal || stack.configuration.graph.kind == .encoderDecoder
      ? min(batch, capacity) : capacity
  }

  /// Tokens that logits are computed of.
  public var vocabularySize: Int { head.weights.rows }

  /// Bytes that a session of this capacity allocates; a float, for a capacity may be absurd.
  /// `source`: tokens of an encoder–decoder's source.
  public static func byteCount(for transformer: Transformer, capacity: Int, source: Int = 0) -> Double {
    guard let stack = transformer.decoder else { return 0 }
    let element = transformer.cacheElement
    let cached = { (heads: AttentionHeads) in
      heads.kvCount * (element.byteCount(of: heads.keyLength) + element.byteCount(of: heads.valueLength))
    }
    var perPosition = RotaryTables.floatsPerPosition(transformer.configuration) * 4
    var perSource = 0
    for layer in 0..<stack.layerCount {
      let block = stack.block(ofLayer: layer)
      perPosition += cached(block.attention.heads)
      if let cross = block.crossAttention { perSource += cached(cross.heads) }
    }
    let rows = Double(batchCapacity(stack, capacity: capacity))
    var bytes = Double(capacity) * Double(perPosition) + Double(source) * Double(perSource)
    bytes += rows * Double(BufferPlan(stack).floatsPerRow) * 4
    bytes += Double(min(logitsBatch, capacity)) * Double(transformer.logitCount) * 4
    if stack.addsDistances {
      bytes += DistanceBias.byteCount(heads: transformer.configuration.headCount, limit: capacity)
    }
    if source > 0 { bytes += Encoder.byteCount(for: transformer, rows: source) }
    return bytes
  }

  /// Forgets the sequence, not the source.
  public func reset() {
    position = 0
    lastCount = 0
    prefix = nil
    history = []
  }

  /// What an encoder–decoder is to answer; the sequence starts anew.
  public func setSource(_ tokens: [Int]) throws(RuntimeError) {
    guard transformer.encoder != nil else { throw .unsupported("this model has no encoder to read a source with") }
    let encoder = Encoder(transformer, rows: max(1, tokens.count))
    let states = try encoder.run([EncoderInput(ids: tokens)]).states
    sources = runner.sources(of: states, element: transformer.cacheElement)
    sourceLength = tokens.count
    reset()
  }

  /// Appends tokens to the sequence, in batches; `finished` is called after each with the range of tokens whose logits
  /// can be asked for until the next.
  public func append(_ tokens: [Int], finished: (Range<Int>) -> Void = { _ in }) throws(RuntimeError) {
    guard position + tokens.count <= capacity else {
      throw .contextExceeded(positions: position + tokens.count, capacity: capacity)
    }
    let input = try input(tokens)
    if transformer.encoder != nil, sources.isEmpty {
      throw .unsupported("an encoder–decoder needs a source before it generates")
    }
    prepareRotary(length: position + tokens.count)
    if position == 0, prefix == nil, transformer.configuration.graph.attention == .prefix {
      prefix = PrefixPositions(tokens, transformer.configuration)
    }
    for start in stride(from: 0, to: tokens.count, by: batchCapacity) {
      let range = start..<min(start + batchCapacity, tokens.count)
      run(input.part(range))
      finished(range)
    }
    if transformer.configuration.rotary.isRecomputed { history += tokens }
  }

  /// Checks the tokens, and looks up their rows in the table of positions.
  private func input(_ tokens: [Int]) throws(RuntimeError) -> InputTokens {
    let embedding = runner.stack.embedding
    let input = embedding.input(EncoderInput(ids: tokens), from: position)
    try embedding.check(input)
    return input
  }

  /// Logits of some tokens of the last batch, counted from its start; at most `logitsBatch` of them.
  /// [rows, vocabulary], valid until the next call.
  public func logits(rows: Range<Int>) -> Matrix {
    precondition(rows.lowerBound >= 0 && rows.upperBound <= lastCount, "no such tokens in the last batch")
    precondition(rows.count <= Self.logitsBatch, "too many rows of logits at once")
    let out = Matrix(logitRows, rows: rows.count, columns: head.weights.rows)
    head.logits(of: lastStates.rows(rows), input: runner.input, hidden: nil, into: out, on: transformer.processor)
    return out
  }

  /// The logits after the last token.
  public func lastLogits() -> Floats { logits(rows: lastCount - 1..<lastCount)[0] }

  /// Angles that depend on the length of the sequence are made again when it has grown enough.
  private func prepareRotary(length: Int) {
    let embedding = transformer.configuration.rotary
    guard let rotary, position == 0 || !embedding.isFixedByPrompt,
      embedding.changes(from: rotary.length, to: length)
    else { return }
    self.rotary = RotaryTables(transformer.configuration, capacity: capacity, length: length)
    guard !history.isEmpty else { return }
    // LongRoPE: keys turned by the short factors do not go with queries turned by the long ones.
    position = 0
    let input = runner.stack.embedding.input(EncoderInput(ids: history), from: 0)
    for start in stride(from: 0, to: history.count, by: batchCapacity) {
      run(input.part(start..<min(start + batchCapacity, history.count)))
    }
  }

  private func run(_ tokens: InputTokens) {
    let count = tokens.ids.count
    let state = runner.state(rows: count)
    runner.embed(tokens, into: state)
    lastStates = runner.run(state, in: context(rows: count), finalPositions: tokens.positions, observer: observer)
    position += count
    lastCount = count
  }

  private func context(rows: Int) -> BatchContext {
    let spans =
      prefix?.spans(from: position, rows: rows) ?? [
        AttentionSpan(rows: 0..<rows, position: position, length: position + rows, isCausal: true)
      ]
    var segment = SequenceSegment(rows: 0..<rows, position: position, caches: caches, spans: spans)
    segment.sources = sources
    segment.sourceLength = sourceLength
    guard let prefix, transformer.configuration.hasTwoDimensionalPositions else {
      return BatchContext(
        segments: [segment], positions: .from(position), blockPositions: nil, rotary: rotary, biases: biases)
    }
    return BatchContext(
      segments: [segment], positions: .each(prefix.positions(from: position, rows: rows)),
      blockPositions: .each(prefix.blockPositions(from: position, rows: rows)), rotary: rotary, biases: biases)
  }
}
