import Catalog
import Kernels

/// What is made of the final states: each head exists where the model has its tensors.
struct OutputHeads: Sendable {
  /// Logits over the vocabulary.
  let language: LanguageHead?
  /// tanh(dense(state of the first token)).
  let pooler: Linear?
  let classifier: ClassifierHead?
  /// Whether a second sentence follows the first, from the pooled state. [2, width]
  let nextSentence: Linear?
  /// Whether a token was replaced: ELECTRA's discriminator.
  let discriminator: ClassifierHead?

  init(
    tokens: WeightMatrix, _ configuration: TransformerConfiguration, from loader: WeightLoader
  ) throws(RuntimeError) {
    let width = configuration.width
    let isEncoder = configuration.graph.kind == .encoder
    let hasLogits =
      !isEncoder || loader.has("mlm_dense.weight") || loader.has("output.weight") || loader.has("output.bias")
    language = hasLogits ? try LanguageHead(tokens: tokens, configuration, from: loader) : nil
    pooler = try loader.optionalLinear("pooler", rows: width, columns: width)
    classifier = try ClassifierHead(
      "cls", activation: Activation(configuration.classifierActivation), width: width, from: loader)
    nextSentence = try loader.optionalLinear("nsp", rows: 2, columns: width)
    discriminator = try ClassifierHead(
      "disc", activation: Activation(configuration.activation), width: width, from: loader)
  }

  var byteCount: Int {
    (language?.byteCount ?? 0) + (pooler?.byteCount ?? 0) + (classifier?.byteCount ?? 0)
      + (nextSentence?.byteCount ?? 0) + (discriminator?.byteCount ?? 0)
  }
}

/// Logits over the vocabulary: the head's matrix, or the embedding's where they are tied.
struct LanguageHead: Sendable {
  /// Before the matrix, in masked language models: norm(activation(dense(x))).
  let transform: Linear?
  let activation: Activation
  let norm: Norm?
  let weights: WeightMatrix
  let isTied: Bool
  let bias: Floats?
  let scale: Float
  let softcap: Float?

  init(
    tokens: WeightMatrix, _ configuration: TransformerConfiguration, from loader: WeightLoader
  ) throws(RuntimeError) {
    transform = try loader.optionalLinear("mlm_dense", columns: configuration.width)
    activation = Activation(configuration.maskedHeadActivation)
    let width = transform?.rows ?? configuration.width
    norm = try loader.optionalNorm(
      "mlm_norm", width: width, kind: configuration.graph.normalization, epsilon: configuration.normEpsilon)
    isTied = !loader.has("output.weight")
    weights = isTied ? tokens : try loader.matrix("output.weight", columns: width)
    guard weights.columns == width else {
      let tensor = try loader.tensor(isTied ? "token_embd.weight" : "output.weight")
      throw .misshapen(tensor: tensor.name, found: tensor.shape, expected: "rows of \(width)")
    }
    bias = try loader.optionalVector("output.bias", count: weights.rows)
    scale = Float(configuration.logitScale)
    softcap = configuration.logitSoftcap.map(Float.init)
  }

  /// [rows, vocabulary]; `hidden` is room for [rows, transform's rows].
  func logits(of states: Matrix, input: ProductInput, hidden: Matrix?, into out: Matrix, on processor: Processor) {
    input.set(states)
    if let transform, let hidden {
      transform.apply(input, into: hidden, on: processor)
      processor.activate(activation, hidden, into: hidden)
      norm?.apply(hidden, into: hidden, on: processor)
      input.set(hidden)
    }
    processor.multiply(input, weights, into: out, bias: bias)
    if scale != 1 { processor.scale(out, by: scale, into: out) }
    if let softcap { processor.softcap(out, cap: softcap, into: out) }
  }

  /// Without a matrix that is the embedding's.
  var byteCount: Int {
    (transform?.byteCount ?? 0) + (norm?.byteCount ?? 0) + (isTied ? 0 : weights.byteCount) + (bias?.count ?? 0) * 4
  }
}

/// output(activation(dense(x))), or output(x) without the dense layer.
struct ClassifierHead: Sendable {
  let dense: Linear?
  let activation: Activation
  let output: Linear

  /// Nil where the model has none.
  init?(_ name: String, activation: Activation, width: Int, from loader: WeightLoader) throws(RuntimeError) {
    guard loader.has(name + "_output.weight") else { return nil }
    dense = try loader.optionalLinear(name + "_dense", columns: width)
    output = try loader.linear(name + "_output", columns: dense?.rows ?? width)
    self.activation = activation
  }

  /// [rows, labels]; allocates.
  func apply(_ states: Matrix, on processor: Processor) -> Matrix {
    let input = ProductInput(tokens: states.rows, columns: max(states.columns, output.columns))
    input.set(states)
    if let dense {
      let hidden = Matrix(rows: states.rows, columns: dense.rows)
      dense.apply(input, into: hidden, on: processor)
      processor.activate(activation, hidden, into: hidden)
      input.set(hidden)
    }
    let out = Matrix(rows: states.rows, columns: output.rows)
    output.apply(input, into: out, on: processor)
    return out
  }

  var byteCount: Int { (dense?.byteCount ?? 0) + output.byteCount }
}
