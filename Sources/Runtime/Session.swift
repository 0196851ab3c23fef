import Catalog
public import Kernels

/// One sequence of tokens running through a transformer: its caches and its buffers, allocated once.
///
/// Not for use from several threads at once. Results depend on neither how tokens are batched nor on threads.
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

  private let caches: [KeyValueCache]
  private let rotary: RotaryTable
  private let state: Floats  // [batch, width]: the residual stream
  private let normed: Floats  // [batch, width]
  private let query: Floats  // [batch, heads · keyLength]
  private let key: Floats  // [batch, kvHeads · keyLength]
  private let value: Floats  // [batch, kvHeads · valueLength]
  private let attended: Floats  // [batch, heads · valueLength]
  private let gate: Floats  // [batch, feedForwardWidth]
  private let up: Floats  // [batch, feedForwardWidth]
  private let logitRows: Floats  // [logitsBatch, vocabulary]
  private let input: ProductInput
  private let batchCapacity: Int
  /// Tokens of the last batch, whose normed final states are in `normed`.
  private var lastCount = 0

  /// Called with each layer's number and the residual stream after it, when set.
  public var observer: ((Int, Matrix) -> Void)?

  public init(_ transformer: Transformer, capacity: Int) {
    precondition(capacity > 0, "a session needs room for a token")
    let configuration = transformer.configuration
    self.transformer = transformer
    self.capacity = capacity
    caches = (0..<configuration.layerCount).map { _ in
      KeyValueCache(
        kvHeads: configuration.keyValueHeadCount, capacity: capacity, keyDim: configuration.keyLength,
        valueDim: configuration.valueLength, element: transformer.arithmetic == .exact ? .f32 : .f16)
    }
    rotary = RotaryTable(
      inverseFrequencies: configuration.rotary.inverseFrequencies.map(Float.init), positions: capacity,
      attentionFactor: Float(configuration.rotary.attentionFactor))
    let batch = min(Self.batch, capacity)
    batchCapacity = batch
    state = Floats(count: batch * configuration.width)
    normed = Floats(count: batch * configuration.width)
    query = Floats(count: batch * configuration.headCount * configuration.keyLength)
    key = Floats(count: batch * configuration.keyValueHeadCount * configuration.keyLength)
    value = Floats(count: batch * configuration.keyValueHeadCount * configuration.valueLength)
    attended = Floats(count: batch * configuration.headCount * configuration.valueLength)
    gate = Floats(count: batch * configuration.feedForwardWidth)
    up = Floats(count: batch * configuration.feedForwardWidth)
    logitRows = Floats(count: min(Self.logitsBatch, batch) * configuration.vocabularySize)
    let widest = max(
      configuration.width, configuration.headCount * configuration.valueLength, configuration.feedForwardWidth)
    input = ProductInput(tokens: batch, columns: widest)
  }

  /// Bytes that a session of this capacity allocates; a float, for a capacity may be absurd.
  public static func byteCount(for transformer: Transformer, capacity: Int) -> Double {
    let configuration = transformer.configuration
    let perPosition =
      configuration.layerCount * configuration.keyValueHeadCount * (configuration.keyLength + configuration.valueLength)
      * (transformer.arithmetic == .exact ? 4 : 2) + configuration.rotary.dimensionCount * 4
    let perToken =
      2 * configuration.width + 2 * configuration.feedForwardWidth
      + (configuration.headCount + configuration.keyValueHeadCount)
      * (configuration.keyLength + configuration.valueLength)
    return Double(capacity) * Double(perPosition) + Double(min(batch, capacity)) * Double(perToken) * 4
      + Double(min(logitsBatch, capacity)) * Double(configuration.vocabularySize) * 4
  }

  /// Forgets the sequence.
  public func reset() {
    position = 0
    lastCount = 0
  }

  /// Appends tokens to the sequence, in batches; `finished` is called after each with the range of tokens whose logits
  /// can be asked for until the next.
  public func append(_ tokens: [Int], finished: (Range<Int>) -> Void = { _ in }) throws(RuntimeError) {
    guard position + tokens.count <= capacity else {
      throw .contextExceeded(positions: position + tokens.count, capacity: capacity)
    }
    let vocabularySize = transformer.configuration.vocabularySize
    if let wrong = tokens.first(where: { !(0..<vocabularySize).contains($0) }) {
      throw .invalidToken(id: wrong, vocabularySize: vocabularySize)
    }
    for start in stride(from: 0, to: tokens.count, by: batchCapacity) {
      let range = start..<min(start + batchCapacity, tokens.count)
      run(Array(tokens[range]))
      finished(range)
    }
  }

  /// Logits of some tokens of the last batch, counted from its start; at most `logitsBatch` of them.
  /// [rows, vocabulary], valid until the next call.
  public func logits(rows: Range<Int>) -> Matrix {
    precondition(rows.lowerBound >= 0 && rows.upperBound <= lastCount, "no such tokens in the last batch")
    precondition(rows.count <= Self.logitsBatch, "too many rows of logits at once")
    let configuration = transformer.configuration
    let states = Matrix(normed, rows: lastCount, columns: configuration.width).rows(rows)
    let out = Matrix(logitRows, rows: rows.count, columns: configuration.vocabularySize)
    input.set(states)
    transformer.processor.multiply(input, transformer.head, into: out)
    return out
  }

  /// The logits after the last token.
  public func lastLogits() -> Floats { logits(rows: lastCount - 1..<lastCount)[0] }

  private func run(_ tokens: [Int]) {
    let configuration = transformer.configuration
    let processor = transformer.processor
    let count = tokens.count
    let state = Matrix(state, rows: count, columns: configuration.width)
    let normed = Matrix(normed, rows: count, columns: configuration.width)
    for (row, token) in tokens.enumerated() { transformer.embedding.read(row: token, into: state[row]) }
    let epsilon = Float(configuration.normEpsilon)
    for (index, layer) in transformer.layers.enumerated() {
      processor.rmsNorm(state, weight: layer.attentionNorm, epsilon: epsilon, into: normed)
      attend(normed, layer, caches[index], into: state)
      processor.rmsNorm(state, weight: layer.feedForwardNorm, epsilon: epsilon, into: normed)
      feedForward(normed, layer, into: state)
      observer?(index, state)
    }
    processor.rmsNorm(state, weight: transformer.outputNorm, epsilon: epsilon, into: normed)
    position += count
    lastCount = count
  }

  /// state += attention(normed)
  private func attend(_ normed: Matrix, _ layer: TransformerLayer, _ cache: KeyValueCache, into state: Matrix) {
    let configuration = transformer.configuration
    let processor = transformer.processor
    let count = normed.rows
    let query = Matrix(query, rows: count, columns: configuration.headCount * configuration.keyLength)
    let key = Matrix(key, rows: count, columns: configuration.keyValueHeadCount * configuration.keyLength)
    let value = Matrix(value, rows: count, columns: configuration.keyValueHeadCount * configuration.valueLength)
    let attended = Matrix(attended, rows: count, columns: configuration.headCount * configuration.valueLength)
    input.set(normed)
    processor.multiply(
      input, [layer.query.product(into: query), layer.key.product(into: key), layer.value.product(into: value)])
    processor.rotate(
      query, heads: configuration.headCount, headDim: configuration.keyLength, table: rotary, position: position,
      pairing: .halves)
    processor.rotate(
      key, heads: configuration.keyValueHeadCount, headDim: configuration.keyLength, table: rotary, position: position,
      pairing: .halves)
    processor.append(key, value, to: cache, at: position)
    processor.attention(
      query, heads: configuration.headCount, cache: cache, position: position,
      scale: 1 / Float(configuration.keyLength).squareRoot(),
      mask: AttentionMask(causal: true, slidingWindow: configuration.slidingWindow), into: attended)
    input.set(attended)
    layer.attentionOutput.apply(input, into: state, accumulate: true, on: processor)
  }

  /// state += down(activation(gate(normed)) · up(normed))
  private func feedForward(_ normed: Matrix, _ layer: TransformerLayer, into state: Matrix) {
    let configuration = transformer.configuration
    let processor = transformer.processor
    let gate = Matrix(gate, rows: normed.rows, columns: configuration.feedForwardWidth)
    let up = Matrix(up, rows: normed.rows, columns: configuration.feedForwardWidth)
    input.set(normed)
    processor.multiply(input, [layer.gate.product(into: gate), layer.up.product(into: up)])
    processor.gate(Activation(configuration.activation), gate, times: up, into: gate)
    input.set(gate)
    layer.down.apply(input, into: state, accumulate: true, on: processor)
  }
}

extension Activation {
  init(_ activation: TransformerConfiguration.Activation) {
    self =
      switch activation {
      case .silu: .silu
      case .gelu: .gelu
      case .geluTanh: .geluTanh
      case .relu: .relu
      }
  }
}
