import Bytes
public import Catalog
import Codecs
public import IR
public import Kernels

/// A model's layers, brought into memory one at a time: for work that goes over all tokens of a text layer by layer.
///
/// Computes as `Session` and `Encoder` do in exact arithmetic. Memory: one block's weights, the buffers of one sequence,
/// and the embeddings of the tokens that occur. Not for use from several threads at once.
public final class LayerwiseTransformer {
  public let configuration: TransformerConfiguration
  /// Sequences, of equal length.
  public let windows: [[Int]]
  public let tokens: Int
  private let processor: Processor
  /// The stack without its blocks.
  private let frame: TransformerStack
  private let rotary: RotaryTables?
  private let biases: [DistanceBias]

  /// One layer's weights and room to run them.
  public final class Layer {
    public let index: Int
    let runner: BlockRunner
    let cache: KeyValueCache
    fileprivate let recorded: TensorParts

    fileprivate init(index: Int, _ runner: BlockRunner, _ cache: KeyValueCache, _ recorded: TensorParts) {
      self.index = index
      self.runner = runner
      self.cache = cache
      self.recorded = recorded
    }

    /// What its matrices are in the model.
    public var parts: [TensorPart] { recorded.all }
  }

  /// - Precondition: `windows` are of equal length, at least one token.
  public init(_ model: Model, graph: Graph, windows: [[Int]], processor: Processor) throws(RuntimeError) {
    precondition(Set(windows.map(\.count)).count == 1 && windows[0].count > 0, "windows of several lengths")
    guard graph.kind != .encoderDecoder else {
      throw .unsupported("an encoder–decoder cannot be run layer by layer yet")
    }
    do { configuration = try TransformerConfiguration(model.hyperparameters, graph: graph) } catch {
      throw .catalog(error)
    }
    self.windows = windows
    self.processor = processor
    tokens = windows[0].count
    frame = try Self.frame(of: model, configuration, windows, processor)
    rotary = RotaryTables(configuration, capacity: tokens, length: tokens)
    biases = frame.distanceBiases(limit: tokens)
  }

  public var layerCount: Int { frame.layerCount }
  public var width: Int { configuration.width }
  /// Whether some layers share their weights.
  public var sharesLayers: Bool { Set(frame.order).count < frame.order.count }

  private static func loader(_ model: Model, _ processor: Processor) -> WeightLoader {
    WeightLoader(model: model, processor: processor, arithmetic: .exact, progress: { _ in })
  }

  /// With a table of the tokens that occur alone.
  private static func frame(
    of model: Model, _ configuration: TransformerConfiguration, _ windows: [[Int]], _ processor: Processor
  ) throws(RuntimeError) -> TransformerStack {
    let loader = loader(model, processor)
    let table = try loader.rows(distinct(windows), of: "token_embd.weight")
    return try TransformerStack(.only, tokens: table, configuration, from: loader, withoutBlocks: true)
  }

  /// The tokens that occur, ascending.
  private static func distinct(_ windows: [[Int]]) -> [Int] { Set(windows.joined()).sorted() }

  /// Writes what each window's tokens are before the first layer.
  /// - Parameter model: this one, or the same with other tensors.
  public func embed(from model: Model, into state: (Int) -> Matrix) throws(RuntimeError) {
    let frame = try Self.frame(of: model, configuration, windows, processor)
    let runner = BlockRunner(frame, rows: tokens, processor: processor)
    let ids = Self.distinct(windows)
    let places = Dictionary(uniqueKeysWithValues: ids.enumerated().map { ($1, $0) })
    for (index, window) in windows.enumerated() {
      let input = frame.embedding.input(EncoderInput(ids: window.map { places[$0] ?? 0 }), from: 0)
      try frame.embedding.check(input)
      runner.embed(input, into: state(index))
    }
  }

  /// Reads one layer's weights.
  /// - Parameter model: this one, or the same with other tensors.
  public func layer(_ index: Int, from model: Model) throws(RuntimeError) -> Layer {
    var loader = Self.loader(model, processor)
    let recorded = TensorParts()
    loader.parts = recorded
    let block = try TransformerBlock(configuration, from: loader.scope("blk.\(frame.order[index])"))
    let stack = frame.holding(block)
    try stack.checkHeads()
    let heads = block.attention.heads
    let cache = KeyValueCache(
      kvHeads: heads.kvCount, capacity: tokens, keyDim: heads.keyLength, valueDim: heads.valueLength, element: .f32)
    return Layer(index: index, BlockRunner(stack, rows: tokens, processor: processor), cache, recorded)
  }

  /// Passes a window's state through a layer, in place.
  /// - Parameter seen: called before each product with its input and the matrices that read it; returns whether to go on,
  ///   else the state is without meaning afterwards.
  public func run(
    _ layer: Layer, window: Int, on state: Matrix, seen: ((_ input: Matrix, _ readers: [TensorPart]) -> Bool)? = nil
  ) {
    let runner = layer.runner
    if let seen {
      runner.input.observer = { input, matrices in
        let readers = matrices.compactMap { layer.recorded[$0] }
        return readers.isEmpty || seen(input, readers)
      }
    }
    defer { runner.input.observer = nil }
    let first = frame.embedding.positionOffset
    runner.run(
      layer: layer.index, state, in: context(windows[window], layer.cache),
      finalPositions: Array(first..<first + tokens))
  }

  /// What the head reads of a window's state after the last layer. [tokens, width], valid until the layer's next run.
  public func finalState(_ layer: Layer, _ state: Matrix) -> Matrix { layer.runner.finalNorm(state) }

  /// What turns final states into logits.
  public final class Head {
    fileprivate let language: LanguageHead
    fileprivate let input: ProductInput

    fileprivate init(_ language: LanguageHead, rows: Int) {
      self.language = language
      input = ProductInput(tokens: rows, columns: language.weights.columns)
    }

    public var vocabularySize: Int { language.weights.rows }
  }

  /// - Parameter model: this one, or the same with other tensors.
  public func head(from model: Model) throws(RuntimeError) -> Head {
    let loader = Self.loader(model, processor)
    let tokens = try loader.matrix("token_embd.weight")
    return Head(try LanguageHead(tokens: tokens, configuration, from: loader), rows: self.tokens)
  }

  /// Logits of some final states. out: [rows, vocabulary]
  public func logits(_ head: Head, of states: Matrix, into out: Matrix) {
    head.language.logits(of: states, input: head.input, hidden: nil, into: out, on: processor)
  }

  /// One sequence from its beginning.
  private func context(_ window: [Int], _ cache: KeyValueCache) -> BatchContext {
    let prefix =
      configuration.graph.kind == .decoder && configuration.graph.attention == .prefix
      ? PrefixPositions(window, configuration) : nil
    let segment = SequenceSegment(
      rows: 0..<tokens, position: 0, caches: [cache],
      spans: prefix?.spans(from: 0, rows: tokens) ?? [
        AttentionSpan(rows: 0..<tokens, position: 0, length: tokens, isCausal: !frame.isBidirectional)
      ])
    guard let prefix, configuration.hasTwoDimensionalPositions else {
      return BatchContext(
        segments: [segment], positions: .from(0), blockPositions: nil, rotary: rotary, biases: biases)
    }
    return BatchContext(
      segments: [segment], positions: .each(prefix.positions(from: 0, rows: tokens)),
      blockPositions: .each(prefix.blockPositions(from: 0, rows: tokens)), rotary: rotary, biases: biases)
  }
}

extension WeightLoader {
  /// Some rows of a tensor as a matrix of floats.
  fileprivate func rows(_ rows: [Int], of name: String) throws(RuntimeError) -> WeightMatrix {
    let tensor = try tensor(name)
    guard let codec = Codec.for(tensor.format, kernels: processor.kernels) else {
      throw .undecodable(tensor: tensor.name, format: tensor.format)
    }
    let columns = tensor.shape.columns
    let matrix = WeightMatrix(rows: rows.count, columns: columns, storage: .f32)
    let slab = 256
    for first in stride(from: 0, to: rows.count, by: slab) {
      let part = rows[first..<min(first + slab, rows.count)]
      var values: [Float] = []
      var decoded = [Float](repeating: 0, count: columns)
      var bytes = [UInt8](repeating: 0, count: tensor.rowByteCount)
      for row in part {
        guard (0..<tensor.shape.rows).contains(row) else {
          throw .invalidToken(id: row, vocabularySize: tensor.shape.rows)
        }
        do throws(FileError) {
          try bytes.withMutableRawSpan { (span) throws(FileError) in try tensor.read(rows: row..<row + 1, into: &span) }
        } catch { throw .file(error) }
        var span = decoded.mutableSpan
        codec.decode(bytes.rawSpan, into: &span)
        values += decoded
      }
      var floats = [UInt8](repeating: 0, count: values.count * 4)
      floats.withMutableRawSpan { $0.store(values.span) }
      matrix.fill(rows: first..<first + part.count, from: floats.rawSpan)
    }
    return matrix
  }
}
