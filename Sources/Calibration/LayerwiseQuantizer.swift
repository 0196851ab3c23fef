public import Bytes
public import Catalog
import Codecs
public import IR
public import Kernels
public import Passes

/// Quantizes a model block by block with error feedback, running it on calibration text as it goes.
///
/// One block's weights are in memory at a time, with the residual stream of every calibration token (twice where the
/// targets are sequential). The results do not depend on threads or instruction set.
public final class LayerwiseQuantizer {
  private let model: Model
  private let plan: [ByteString: BlockFormat]
  /// Those that the plan wants without feedback.
  private let searched: Set<ByteString>
  private let windows: [[Int]]
  private let settings: FeedbackSettings
  private let processor: Processor
  private let configuration: TransformerConfiguration
  private let reader: WeightReader
  private let encoder: LayerEncoder
  private let fisher: Fisher?

  /// - Parameters:
  ///   - windows: tokens, cut into sequences of equal length.
  ///   - fisher: how the loss answers to the embedding's output, for its error feedback; nil for none.
  public init(
    _ model: Model, graph: Graph, plan: QuantizationPlan, windows: [[Int]], fisher: Fisher?,
    settings: FeedbackSettings, processor: Processor
  ) throws(CalibrationError) {
    do { configuration = try TransformerConfiguration(calibrating: model.hyperparameters, graph: graph) } catch {
      throw .catalog(error)
    }
    guard let first = windows.first, windows.allSatisfy({ $0.count == first.count }) else {
      throw .textTooShort(tokens: 0, window: configuration.contextLength)
    }
    self.model = model
    self.plan = Dictionary(plan.steps.map { ($0.name, $0.to) }, uniquingKeysWith: { first, _ in first })
    searched = Set(plan.steps.filter { $0.method == .search }.map(\.name))
    self.windows = windows
    self.settings = settings
    self.processor = processor
    self.fisher = fisher
    reader = WeightReader(model: model, processor: processor)
    encoder = LayerEncoder(settings: settings, processor: processor)
  }

  /// Names of the tensors that `run` will encode; all others are for the plain encoders.
  public var encodedNames: Set<ByteString> {
    var names: Set<ByteString> = []
    for layer in 0..<configuration.layerCount {
      for role in LinearRole.allCases { names.insert(role.tensorName(layer: layer)) }
    }
    names.formUnion(["output.weight", "token_embd.weight"])
    return names.filter { takesFeedback($0) }
  }

  private func takesFeedback(_ name: ByteString) -> Bool {
    guard !searched.contains(name), let tensor = model[name], let format = plan[name], format != tensor.format,
      let codec = Codec.for(format, kernels: processor.kernels), codec.canEncodeWithFeedback
    else { return false }
    if name == "token_embd.weight" { return fisher != nil }
    return true
  }

  /// Encodes everything in `encodedNames`; `finished` takes each group of tensors as it is done. `progress` counts
  /// blocks.
  public func run(
    finished: ([EncodedTensor]) throws(FileError) -> Void, progress: (Int) -> Void = { _ in }
  ) throws(CalibrationError) {
    let tokens = windows[0].count
    let runner = BlockRunner(configuration, tokens: tokens, processor: processor)
    let reference = TokenStates(windowCount: windows.count, tokens: tokens, width: configuration.width)
    let quantized =
      settings.isSequential
      ? TokenStates(windowCount: windows.count, tokens: tokens, width: configuration.width) : reference
    try fillPlainly(reference)
    let embedding = try encodeEmbedding()
    if settings.isSequential {
      if let embedding { try fill(quantized, from: embedding) } else { try fillPlainly(quantized, encoded: true) }
    }
    if let embedding { try deliver([embedding], to: finished) }
    let grams = Grams(configuration, tokens: tokens)
    for layer in 0..<configuration.layerCount {
      let encoded =
        settings.isSequential
        ? try sequential(layer, runner, grams, reference, quantized) : try independent(layer, runner, grams, reference)
      try deliver(encoded, to: finished)
      progress(layer + 1)
    }
    if takesFeedback("output.weight") {
      try deliver([try encodeHead(runner, grams, reference, quantized)], to: finished)
    }
  }

  private func deliver(
    _ tensors: [EncodedTensor], to finished: ([EncodedTensor]) throws(FileError) -> Void
  ) throws(CalibrationError) {
    do { try finished(tensors) } catch { throw .file(error) }
  }
}

// MARK: Blocks

extension LayerwiseQuantizer {
  /// Every layer fitted to its own weights on the full-precision model's inputs.
  private func independent(
    _ layer: Int, _ runner: BlockRunner, _ grams: Grams, _ states: TokenStates
  ) throws(CalibrationError) -> [EncodedTensor] {
    let block = try DecoderBlock(layer: layer, from: reader)
    for role in LinearRole.allCases {
      block.weights[role] = WeightMatrix(try reader.matrix(role.tensorName(layer: layer)))
    }
    var matrices = grams.collect(block, runner, over: states, on: processor)
    block.weights = [:]
    var result: [EncodedTensor] = []
    for input in BlockInput.allCases {
      guard let gram = matrices.removeValue(forKey: input) else { continue }
      result += try encode(layer, input.readers, gram: gram, difference: nil, keepingIn: nil)
    }
    return result
  }

  /// Every layer fitted to the full-precision output, given the inputs that the quantized layers before it make.
  private func sequential(
    _ layer: Int, _ runner: BlockRunner, _ grams: Grams, _ reference: TokenStates, _ quantized: TokenStates
  ) throws(CalibrationError) -> [EncodedTensor] {
    let exact = try DecoderBlock(layer: layer, from: reader)
    let rounded = try DecoderBlock(layer: layer, from: reader)
    var result: [EncodedTensor] = []

    func load(_ roles: [LinearRole]) throws(CalibrationError) {
      for role in roles { exact.weights[role] = WeightMatrix(try reader.matrix(role.tensorName(layer: layer))) }
    }
    /// Accumulates over all windows what the full-precision model feeds the layers, and what they will be fed.
    func encodeGroup(_ input: BlockInput, exactly: (Int) -> Void, roughly: (Int) -> Void) throws(CalibrationError) {
      let matrix = runner.matrix(of: input)
      let columns = matrix.columns
      let gram = Matrix(rows: columns, columns: columns)
      let difference = Matrix(rows: columns, columns: columns)
      let keep = grams.kept(columns: columns)
      for window in 0..<windows.count {
        exactly(window)
        keep.copy(from: matrix)
        roughly(window)
        processor.add(keep, matrix, factor: -1, into: keep)
        grams.accumulator.addSymmetric(matrix, into: gram, on: processor)
        grams.accumulator.add(matrix, keep, into: difference, on: processor)
      }
      result += try encode(layer, input.readers, gram: gram, difference: difference, keepingIn: rounded)
    }

    try load([.query, .key, .value])
    try encodeGroup(.attention) { window in
      runner.norm(reference[window], exact.attentionNorm)
    } roughly: { window in
      runner.norm(quantized[window], rounded.attentionNorm)
    }
    // Attention is dear: its outputs are kept for the step after.
    let referenceAttended = TokenStates(
      windowCount: windows.count, tokens: runner.tokens, width: runner.attended.columns)
    let quantizedAttended = TokenStates(
      windowCount: windows.count, tokens: runner.tokens, width: runner.attended.columns)
    try encodeGroup(.attended) { window in
      runner.norm(reference[window], exact.attentionNorm)
      runner.attend(exact)
      referenceAttended[window].copy(from: runner.attended)
    } roughly: { window in
      runner.norm(quantized[window], rounded.attentionNorm)
      runner.attend(rounded)
      quantizedAttended[window].copy(from: runner.attended)
    }
    try load([.output])
    for window in 0..<windows.count {
      runner.attended.copy(from: referenceAttended[window])
      runner.addAttention(exact, to: reference[window])
      runner.attended.copy(from: quantizedAttended[window])
      runner.addAttention(rounded, to: quantized[window])
    }
    try encodeGroup(.feedForward) { window in
      runner.norm(reference[window], exact.feedForwardNorm)
    } roughly: { window in
      runner.norm(quantized[window], rounded.feedForwardNorm)
    }
    exact.weights = [:]
    try load([.gate, .up, .down])
    try encodeGroup(.activated) { window in
      runner.norm(reference[window], exact.feedForwardNorm)
      runner.activate(exact)
      runner.addFeedForward(exact, to: reference[window])
    } roughly: { window in
      runner.norm(quantized[window], rounded.feedForwardNorm)
      runner.activate(rounded)
    }
    for window in 0..<windows.count {
      runner.norm(quantized[window], rounded.feedForwardNorm)
      runner.activate(rounded)
      runner.addFeedForward(rounded, to: quantized[window])
    }
    return result
  }

  /// Encodes layers of one input; those the plan leaves alone stay as they are. `rounded` receives the new weights.
  private func encode(
    _ layer: Int, _ roles: [LinearRole], gram: Matrix, difference: Matrix?, keepingIn rounded: DecoderBlock?
  ) throws(CalibrationError) -> [EncodedTensor] {
    var result: [EncodedTensor] = []
    var hessian: InputHessian?
    let correction = difference.map { WeightMatrix($0) }
    for role in roles {
      let name = role.tensorName(layer: layer)
      guard let tensor = model[name] else { throw .missingTensor(name) }
      let weights = try reader.matrix(name)
      guard takesFeedback(name), let format = plan[name] else {
        rounded?.weights[role] = WeightMatrix(try plainlyEncoded(tensor, weights))
        continue
      }
      if hessian == nil { hessian = InputHessian(gram: gram, damping: settings.damping, on: processor) }
      guard let hessian else { throw .notFinite(tensor: name) }
      let decoded = rounded.map { _ in Matrix(rows: weights.rows, columns: weights.columns) }
      result.append(
        encoder.encode(
          tensor, as: format, weights: weights, hessian: hessian, difference: correction, decoded: decoded))
      if let decoded { rounded?.weights[role] = WeightMatrix(decoded) }
    }
    return result
  }

  /// What a tensor is worth after its plain encoder, which does not see activations.
  private func plainlyEncoded(_ tensor: TensorRef, _ weights: Matrix) throws(CalibrationError) -> Matrix {
    guard let format = plan[tensor.name], format != tensor.format,
      let source = RecodedSource(tensor, as: format, kernels: processor.kernels)
    else { return weights }
    var recoded = tensor
    recoded.format = format
    recoded.source = source
    return try reader.matrix(recoded, rows: 0..<tensor.shape.rows)
  }
}

// MARK: Embedding and head

extension LayerwiseQuantizer {
  /// Rows that are encoded at once, so that a large vocabulary is never in memory as floats.
  private static var slab: Int { 4096 }

  /// The embedding's rows as they are, or as the plan's plain encoder leaves them.
  private func fillPlainly(_ states: TokenStates, encoded: Bool = false) throws(CalibrationError) {
    guard var tensor = model["token_embd.weight"] else { throw .missingTensor("token_embd.weight") }
    if encoded, let format = plan[tensor.name], format != tensor.format,
      let source = RecodedSource(tensor, as: format, kernels: processor.kernels)
    {
      tensor.format = format
      tensor.source = source
    }
    try states.fill(windows, from: tensor, reader)
  }

  private func fill(_ states: TokenStates, from encoded: EncodedTensor) throws(CalibrationError) {
    guard var tensor = model[encoded.name] else { throw .missingTensor(encoded.name) }
    tensor.format = encoded.format
    tensor.source = MemoryTensorSource(
      bytes: encoded.bytes, rowByteCount: encoded.bytes.count / max(1, tensor.shape.rows))
    try states.fill(windows, from: tensor, reader)
  }

  private func encodeEmbedding() throws(CalibrationError) -> EncodedTensor? {
    guard takesFeedback("token_embd.weight"), let fisher else { return nil }
    let gram = Matrix(rows: configuration.width, columns: configuration.width)
    gram.copy(from: fisher.embeddingGram)
    if model["output.weight"] == nil {
      // A tied matrix is read twice. Both costs are per token, and a row's share of either is how often it occurs.
      processor.add(gram, fisher.headGram, into: gram)
    }
    guard let hessian = InputHessian(gram: gram, damping: settings.damping, on: processor) else {
      throw .notFinite(tensor: "token_embd.weight")
    }
    return try encodeSlabs("token_embd.weight", hessian: hessian, difference: nil)
  }

  private func encodeHead(
    _ runner: BlockRunner, _ grams: Grams, _ reference: TokenStates, _ quantized: TokenStates
  ) throws(CalibrationError) -> EncodedTensor {
    let norm = try reader.vector("output_norm.weight")
    let columns = configuration.width
    let gram = Matrix(rows: columns, columns: columns)
    let difference = Matrix(rows: columns, columns: columns)
    let keep = grams.kept(columns: columns)
    for window in 0..<windows.count {
      runner.norm(reference[window], norm)
      keep.copy(from: runner.normed)
      runner.norm(quantized[window], norm)
      processor.add(keep, runner.normed, factor: -1, into: keep)
      grams.accumulator.addSymmetric(runner.normed, into: gram, on: processor)
      if settings.isSequential { grams.accumulator.add(runner.normed, keep, into: difference, on: processor) }
    }
    guard let hessian = InputHessian(gram: gram, damping: settings.damping, on: processor) else {
      throw .notFinite(tensor: "output.weight")
    }
    return try encodeSlabs(
      "output.weight", hessian: hessian, difference: settings.isSequential ? WeightMatrix(difference) : nil)
  }

  private func encodeSlabs(
    _ name: ByteString, hessian: InputHessian, difference: WeightMatrix?
  ) throws(CalibrationError) -> EncodedTensor {
    guard let tensor = model[name], let format = plan[name] else { throw .missingTensor(name) }
    var parts: [EncodedTensor] = []
    for first in stride(from: 0, to: tensor.shape.rows, by: Self.slab) {
      let rows = first..<min(first + Self.slab, tensor.shape.rows)
      let weights = try reader.matrix(tensor, rows: rows)
      parts.append(
        encoder.encode(tensor, as: format, weights: weights, hessian: hessian, difference: difference, decoded: nil))
    }
    return EncodedTensor(
      name: name, format: format, bytes: parts.flatMap(\.bytes),
      outputError: parts.compactMap(\.outputError).reduce(0, +) / Double(max(1, parts.count)),
      statistics: parts.reduce(into: RecodeStatistics()) { $0 += $1.statistics })
  }
}

/// Buffers for sums of outer products, made once for all layers.
final class Grams {
  let accumulator: GramAccumulator
  private let tokens: Int
  private var matrices: [Int: Matrix] = [:]

  init(_ configuration: TransformerConfiguration, tokens: Int) {
    self.tokens = tokens
    let widest = max(
      configuration.width, configuration.headCount * configuration.valueLength, configuration.feedForwardWidth)
    accumulator = GramAccumulator(tokens: tokens, columns: widest)
  }

  /// A matrix of a window's inputs, to keep one while the other is computed.
  func kept(columns: Int) -> Matrix {
    if let matrix = matrices[columns] { return matrix }
    let matrix = Matrix(rows: tokens, columns: columns)
    matrices[columns] = matrix
    return matrix
  }

  /// Σ x xᵀ of all four inputs of a block over all windows, whose states it moves past the block.
  func collect(
    _ block: DecoderBlock, _ runner: BlockRunner, over states: TokenStates, on processor: Processor
  ) -> [BlockInput: Matrix] {
    var matrices: [BlockInput: Matrix] = [:]
    for input in BlockInput.allCases {
      let columns = runner.matrix(of: input).columns
      matrices[input] = Matrix(rows: columns, columns: columns)
    }
    for window in 0..<states.windowCount {
      runner.run(block, on: states[window]) { input in
        guard let gram = matrices[input] else { return }
        accumulator.addSymmetric(runner.matrix(of: input), into: gram, on: processor)
      }
    }
    return matrices
  }
}
