public import Bytes
public import Catalog
import Codecs
public import IR
public import Kernels
public import Passes
import Runtime

/// What each matrix would cost in each format, measured for any decoder that Runtime computes: each is rounded once with
/// all others as they are, and the divergence that this makes at the logits gives the price of its error.
///
///     loss(format) = KL(rounded to `probe`) · error(format) ÷ error(probe)
///
/// Errors are those of the matrix's outputs on the text, as error feedback leaves them. Dearer than the gradient, which
/// only blocks like Llama's have: half a run of the model for each matrix, on few tokens.
///
/// Memory: one block's weights twice, the head, a residual stream of the probed tokens for each matrix (4 · width bytes
/// a token), and that of all tokens.
public struct ProbedSensitivity {
  private let model: Model
  private let graph: Graph
  private let windows: [[Int]]
  private let probeCount: Int
  private let settings: FeedbackSettings
  private let processor: Processor

  /// - Parameters:
  ///   - windows: tokens, cut into sequences of equal length, for the errors of outputs.
  ///   - probeTokens: how many tokens to measure divergences on, at least a window.
  public init(
    _ model: Model, graph: Graph, windows: [[Int]], probeTokens: Int = 512, settings: FeedbackSettings,
    processor: Processor
  ) {
    self.model = model
    self.graph = graph
    self.windows = windows
    probeCount = max(1, min(windows.count, probeTokens / max(1, windows.first?.count ?? 1)))
    self.settings = settings
    self.processor = processor
  }

  /// Whether there are logits to measure at, and layers of their own to change.
  public static func supports(_ model: Model, graph: Graph) -> Bool {
    graph.kind == .decoder && model["token_embd.weight"] != nil
  }

  /// Choices for every matrix of the blocks, the embedding and the head. `progress` counts blocks.
  public func run(progress: (Int) -> Void = { _ in }) throws(CalibrationError) -> [TensorChoices] {
    guard let first = windows.first, !first.isEmpty else { throw .textTooShort(tokens: 0, window: 0) }
    let transformer = try CalibrationError.wrapping { () throws(RuntimeError) in
      try LayerwiseTransformer(model, graph: graph, windows: windows, processor: processor)
    }
    if transformer.sharesLayers { throw .sharedLayers }
    let streams = try CalibrationStreams(transformer, model, isSequential: false, plain: { $0 })
    let sums = InputSums.Accumulator(transformer, processor)
    let isTied = model["output.weight"] == nil
    var probes: [Probe] = []
    if var probe = try probe("token_embd.weight", transformer, errors: tableErrors()) {
      try CalibrationError.wrapping { () throws(RuntimeError) in
        try transformer.embed(from: probe.model, into: { probe.states($0, of: transformer) })
      }
      probe.changesHead = isTied
      probes.append(probe)
    }
    var last: LayerwiseTransformer.Layer?
    for index in 0..<transformer.layerCount {
      let layer = try load(index, from: model, transformer)
      for probe in probes { probe.advance(layer, transformer) }
      for errors in try layerErrors(layer, streams, sums) {
        guard let probe = try probe(errors.name, transformer, errors: errors) else { continue }
        let rounded = try load(index, from: probe.model, transformer)
        for window in 0..<probeCount {
          probe.states(window, of: transformer).copy(from: streams.quantized[window])
        }
        probe.advance(rounded, transformer)
        probes.append(probe)
      }
      streams.advance(layer, layer)
      last = layer
      progress(index + 1)
    }
    guard let last else { return [] }
    if !isTied, var probe = try probe("output.weight", transformer, errors: headErrors(last, streams, sums)) {
      for window in 0..<probeCount { probe.states(window, of: transformer).copy(from: streams.quantized[window]) }
      probe.changesHead = true
      probes.append(probe)
    }
    let meter = try DivergenceMeter(transformer, model, last, processor)
    return try probes.map { probe throws(CalibrationError) in
      let head = probe.changesHead ? probe.model : nil
      var divergence = 0.0
      for window in 0..<probeCount {
        divergence += try meter.divergence(
          of: probe.states(window, of: transformer), head: head, from: streams.quantized[window])
      }
      return probe.errors.choices(price: divergence / Double(probeCount * transformer.tokens))
    }
  }

  private func load(
    _ index: Int, from model: Model, _ transformer: LayerwiseTransformer
  ) throws(CalibrationError) -> LayerwiseTransformer.Layer {
    try CalibrationError.wrapping { () throws(RuntimeError) in try transformer.layer(index, from: model) }
  }

  /// The model with one tensor rounded; nil where no format fits it.
  private func probe(
    _ name: ByteString, _ transformer: LayerwiseTransformer, errors: FormatErrors?
  ) throws(CalibrationError) -> Probe? {
    guard let errors, let tensor = model[name] else { return nil }
    var rounded = tensor
    rounded.format = errors.probe
    rounded.source = MemoryTensorSource(
      bytes: errors.bytes, rowByteCount: errors.bytes.count / max(1, tensor.shape.rows))
    var patched = model
    patched.replaceTensors(model.tensors.map { $0.name == name ? rounded : $0 })
    return Probe(
      model: patched, errors: errors, windows: probeCount, tokens: transformer.tokens, width: transformer.width)
  }

  // MARK: errors of outputs

  private func empty(_ name: ByteString) -> FormatErrors? {
    model[name].flatMap { FormatErrors($0, kernels: processor.kernels) }
  }

  /// Of all matrices of a layer that some format fits.
  private func layerErrors(
    _ layer: LayerwiseTransformer.Layer, _ streams: CalibrationStreams, _ sums: InputSums.Accumulator
  ) throws(CalibrationError) -> [FormatErrors] {
    var order: [ByteString] = []
    var all: [ByteString: FormatErrors] = [:]
    var waiting: Set<TensorPart> = []
    for part in layer.parts where all[part.tensor] != nil || empty(part.tensor) != nil {
      if all[part.tensor] == nil {
        all[part.tensor] = empty(part.tensor)
        order.append(part.tensor)
      }
      waiting.insert(part)
    }
    let reader = WeightReader(model: model, processor: processor)
    while !waiting.isEmpty {
      let left = waiting
      let pass = sums.pass(layer, layer, streams, budget: 512 << 20, wanted: { left.contains($0) })
      if pass.inputs.isEmpty { break }
      for inputs in pass.inputs {
        let readers = inputs.readers.filter(waiting.contains)
        guard let first = readers.first else { continue }
        guard let hessian = InputHessian(gram: inputs.gram, damping: FeedbackSettings.forecastDamping, on: processor)
        else {
          throw .notFinite(tensor: first.tensor)
        }
        for part in readers {
          waiting.remove(part)
          guard let tensor = model[part.tensor] else { continue }
          let rows = part.rows(of: tensor.shape.rows)
          try all[part.tensor]?.add(rows, try reader.matrix(tensor, rows: rows), hessian, on: processor)
        }
      }
    }
    // Experts that no token reached cost nothing, as far as the text tells; the rest of a tensor speaks for them.
    return order.compactMap { all[$0] }.filter { $0.hasErrors }
  }

  /// Of the embedding: a row's errors count as often as its token occurs.
  private func tableErrors() throws(CalibrationError) -> FormatErrors? {
    guard var errors = empty("token_embd.weight"), let tensor = model["token_embd.weight"] else { return nil }
    let columns = tensor.shape.columns
    let identity = Matrix(rows: columns, columns: columns)
    identity.floats.withMutableSpan { values in for c in 0..<columns { values[c * columns + c] = 1 } }
    guard let hessian = InputHessian(gram: identity, damping: FeedbackSettings.forecastDamping, on: processor) else {
      return nil
    }
    let shares = SensitivityEstimator.tokenShares(windows, vocabularySize: tensor.shape.rows)
    try addSlabs(of: tensor, to: &errors, hessian, shares)
    return errors
  }

  private func headErrors(
    _ last: LayerwiseTransformer.Layer, _ streams: CalibrationStreams, _ sums: InputSums.Accumulator
  ) throws(CalibrationError) -> FormatErrors? {
    guard var errors = empty("output.weight"), let tensor = model["output.weight"] else { return nil }
    let inputs = sums.final(last, streams, columns: tensor.shape.columns)
    guard let hessian = InputHessian(gram: inputs.gram, damping: FeedbackSettings.forecastDamping, on: processor) else {
      throw .notFinite(tensor: tensor.name)
    }
    let shares = SensitivityEstimator.tokenShares(windows, vocabularySize: tensor.shape.rows)
    try addSlabs(of: tensor, to: &errors, hessian, shares)
    return errors
  }

  private func addSlabs(
    of tensor: TensorRef, to errors: inout FormatErrors, _ hessian: InputHessian, _ shares: [Double]
  ) throws(CalibrationError) {
    let reader = WeightReader(model: model, processor: processor)
    for first in stride(from: 0, to: tensor.shape.rows, by: 4096) {
      let rows = first..<min(first + 4096, tensor.shape.rows)
      try errors.add(rows, try reader.matrix(tensor, rows: rows), hessian, shares: shares, on: processor)
    }
  }
}

/// A model of which one tensor was rounded, and where that led the probed tokens.
private struct Probe {
  let model: Model
  let errors: FormatErrors
  /// Whether the rounded tensor is what logits are made with.
  var changesHead = false
  private let windows: Int
  private let values: Matrix

  init(model: Model, errors: FormatErrors, windows: Int, tokens: Int, width: Int) {
    self.model = model
    self.errors = errors
    values = Matrix(rows: (windows + 1) * tokens, columns: width)
    self.windows = windows
  }

  func states(_ window: Int, of transformer: LayerwiseTransformer) -> Matrix {
    // Windows that are not probed share a place that nobody reads.
    let place = min(window, windows)
    return values.rows(place * transformer.tokens..<(place + 1) * transformer.tokens)
  }

  func advance(_ layer: LayerwiseTransformer.Layer, _ transformer: LayerwiseTransformer) {
    for window in 0..<windows { transformer.run(layer, window: window, on: states(window, of: transformer)) }
  }
}
