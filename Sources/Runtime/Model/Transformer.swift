public import Catalog
public import IR
public import Kernels

/// A model's weights, arranged for the kernels, and the graph that its family's descriptor names.
///
/// Shared by any number of sessions; read-only once loaded.
public final class Transformer: Sendable {
  public let configuration: TransformerConfiguration
  public let arithmetic: Arithmetic
  /// What sessions keep keys and values as.
  public let cacheElement: KeyValueCache.Element
  let processor: Processor
  let tokens: WeightMatrix
  /// Present in encoders and encoder–decoders.
  let encoder: TransformerStack?
  /// Present in decoders and encoder–decoders.
  let decoder: TransformerStack?
  let heads: OutputHeads

  /// Reads every weight. `cache`: the arithmetic's own where not given. `progress` is called from any thread with the
  /// bytes just read.
  public init(
    _ model: Model, graph: Graph, arithmetic: Arithmetic, cache: KeyValueCache.Element? = nil, processor: Processor,
    progress: @escaping @Sendable (Int) -> Void = { _ in }
  ) throws(RuntimeError) {
    do { configuration = try TransformerConfiguration(model.hyperparameters, graph: graph) } catch {
      throw .catalog(error)
    }
    self.arithmetic = arithmetic
    cacheElement = cache ?? arithmetic.cacheElement
    self.processor = processor
    let loader = WeightLoader(model: model, processor: processor, arithmetic: arithmetic, progress: progress)
    tokens = try loader.matrix("token_embd.weight")
    let (tokens, configuration) = (tokens, configuration)
    func stack(_ role: TransformerStack.Role) throws(RuntimeError) -> TransformerStack {
      let stack = try TransformerStack(role, tokens: tokens, configuration, from: loader)
      try stack.checkHeads()
      return stack
    }
    encoder = graph.kind == .decoder ? nil : try stack(graph.kind == .encoder ? .only : .encoder)
    decoder = graph.kind == .encoder ? nil : try stack(graph.kind == .decoder ? .only : .decoder)
    heads = try OutputHeads(tokens: tokens, configuration, from: loader)
  }

  /// Bytes that the weights occupy.
  public var weightByteCount: Int {
    tokens.byteCount + (encoder?.byteCount ?? 0) + (decoder?.byteCount ?? 0) + heads.byteCount
  }

  /// Rows of the vocabulary that logits are over.
  var logitCount: Int { heads.language?.weights.rows ?? 0 }
}
