import Bytes
import Catalog
import IR
import Kernels

/// The linear layers of a block, in the order in which they run.
enum LinearRole: String, CaseIterable {
  case query = "attn_q"
  case key = "attn_k"
  case value = "attn_v"
  case output = "attn_output"
  case gate = "ffn_gate"
  case up = "ffn_up"
  case down = "ffn_down"

  func tensorName(layer: Int) -> ByteString { ByteString("blk.\(layer).\(rawValue).weight") }
  func biasName(layer: Int) -> ByteString { ByteString("blk.\(layer).\(rawValue).bias") }

  /// What it reads.
  var input: BlockInput {
    switch self {
    case .query, .key, .value: .attention
    case .output: .attended
    case .gate, .up: .feedForward
    case .down: .activated
    }
  }
}

/// The four inputs that the linear layers of a block share.
enum BlockInput: Int, CaseIterable {
  case attention, attended, feedForward, activated

  var index: Int { rawValue }

  /// Whether what its layer makes is added to the residual stream.
  var isAdded: Bool { self == .attended || self == .activated }

  var readers: [LinearRole] {
    switch self {
    case .attention: [.query, .key, .value]
    case .attended: [.output]
    case .feedForward: [.gate, .up]
    case .activated: [.down]
    }
  }
}

/// The weights of one block as floats: pre-normed attention with grouped queries, then a gated feed-forward.
final class DecoderBlock {
  private(set) var attentionNorm: Floats
  private(set) var feedForwardNorm: Floats
  /// Replaced by what was quantized, layer by layer.
  var weights: [LinearRole: WeightMatrix] = [:]
  /// Likewise.
  var biases: [LinearRole: Floats]

  /// Whether a model with this tensor has blocks of this kind, as far as the name tells.
  static func knows(_ name: ByteString) -> Bool {
    guard name.hasPrefix("blk.") else { return true }
    let kind = name.text.split(separator: ".").dropFirst(2).joined(separator: ".")
    return kind == "attn_norm.weight" || kind == "ffn_norm.weight"
      || LinearRole.allCases.contains { kind == "\($0.rawValue).weight" || kind == "\($0.rawValue).bias" }
  }

  /// Reads the norms and biases; the matrices come through `weights`.
  init(layer: Int, from reader: WeightReader) throws(CalibrationError) {
    let prefix = ByteString("blk.\(layer).")
    var known: Set<ByteString> = ["attn_norm.weight", "ffn_norm.weight"]
    var biases: [LinearRole: Floats] = [:]
    for role in LinearRole.allCases {
      known.formUnion([ByteString("\(role.rawValue).weight"), ByteString("\(role.rawValue).bias")])
      biases[role] = try reader.optionalVector(role.biasName(layer: layer))
    }
    self.biases = biases
    for tensor in reader.model.tensors where tensor.name.hasPrefix(prefix) {
      guard known.contains(tensor.name.dropPrefix(prefix)) else { throw .unsupported(tensor: tensor.name) }
    }
    attentionNorm = try reader.vector(ByteString("blk.\(layer).attn_norm.weight"))
    feedForwardNorm = try reader.vector(ByteString("blk.\(layer).ffn_norm.weight"))
  }

  /// Replaces the weights of the norm that `input` comes from.
  func setNorm(_ weights: Floats, of input: BlockInput) {
    switch input {
    case .attention: attentionNorm = weights
    case .feedForward: feedForwardNorm = weights
    case .attended, .activated: preconditionFailure("no norm before \(input)")
    }
  }

  func product(_ role: LinearRole, into out: Matrix, accumulate: Bool = false) -> Product {
    guard let weights = weights[role] else { preconditionFailure("\(role) was not loaded") }
    return Product(weights, into: out, bias: biases[role], accumulate: accumulate)
  }
}

/// Runs blocks over one window of tokens at a time, step by step, so that every linear layer's input can be seen.
final class BlockRunner {
  let configuration: TransformerConfiguration
  let processor: Processor
  let tokens: Int
  let rotary: RotaryTable
  private let cache: KeyValueCache
  private let input: ProductInput

  // The inputs of the linear layers, and what attention is made of; each [tokens, …].
  let normed: Matrix
  let query: Matrix
  let key: Matrix
  let value: Matrix
  let attended: Matrix
  let gate: Matrix
  let up: Matrix
  let activated: Matrix

  init(_ configuration: TransformerConfiguration, tokens: Int, processor: Processor) {
    self.configuration = configuration
    self.processor = processor
    self.tokens = tokens
    rotary = RotaryTable(
      inverseFrequencies: configuration.rotary.inverseFrequencies.map(Float.init), positions: tokens,
      attentionFactor: Float(configuration.rotary.attentionFactor))
    cache = KeyValueCache(
      kvHeads: configuration.keyValueHeadCount, capacity: tokens, keyDim: configuration.keyLength,
      valueDim: configuration.valueLength, element: .f32)
    normed = Matrix(rows: tokens, columns: configuration.width)
    query = Matrix(rows: tokens, columns: configuration.headCount * configuration.keyLength)
    key = Matrix(rows: tokens, columns: configuration.keyValueHeadCount * configuration.keyLength)
    value = Matrix(rows: tokens, columns: configuration.keyValueHeadCount * configuration.valueLength)
    attended = Matrix(rows: tokens, columns: configuration.headCount * configuration.valueLength)
    gate = Matrix(rows: tokens, columns: configuration.feedForwardWidth)
    up = Matrix(rows: tokens, columns: configuration.feedForwardWidth)
    activated = Matrix(rows: tokens, columns: configuration.feedForwardWidth)
    input = ProductInput(
      tokens: tokens,
      columns: max(
        configuration.width, configuration.headCount * configuration.valueLength, configuration.feedForwardWidth))
  }

  private var epsilon: Float { Float(configuration.normEpsilon) }

  /// The input of the linear layers, once the steps before it ran.
  func matrix(of input: BlockInput) -> Matrix {
    switch input {
    case .attention, .feedForward: normed
    case .attended: attended
    case .activated: activated
    }
  }

  func norm(_ state: Matrix, _ weight: Floats) {
    processor.rmsNorm(state, weight: weight, epsilon: epsilon, into: normed)
  }

  /// attended = attention over the normed states, from position 0.
  func attend(_ block: DecoderBlock) {
    input.set(normed)
    processor.multiply(
      input, [block.product(.query, into: query), block.product(.key, into: key), block.product(.value, into: value)])
    processor.rotate(
      query, heads: configuration.headCount, headDim: configuration.keyLength, table: rotary, position: 0,
      pairing: .halves)
    processor.rotate(
      key, heads: configuration.keyValueHeadCount, headDim: configuration.keyLength, table: rotary, position: 0,
      pairing: .halves)
    processor.append(key, value, to: cache, at: 0)
    processor.attention(
      query, heads: configuration.headCount, cache: cache, position: 0, scale: attentionScale,
      mask: AttentionMask(causal: true, slidingWindow: configuration.slidingWindow), into: attended)
  }

  var attentionScale: Float { 1 / Float(configuration.keyLength).squareRoot() }

  /// state += output(attended)
  func addAttention(_ block: DecoderBlock, to state: Matrix) {
    input.set(attended)
    processor.multiply(input, [block.product(.output, into: state, accumulate: true)])
  }

  /// activated = activation(gate(normed)) · up(normed)
  func activate(_ block: DecoderBlock) {
    input.set(normed)
    processor.multiply(input, [block.product(.gate, into: gate), block.product(.up, into: up)])
    processor.gate(activation, gate, times: up, into: activated)
  }

  var activation: Activation {
    switch configuration.activation {
    case .silu: .silu
    case .gelu: .gelu
    case .geluTanh: .geluTanh
    case .geluQuick: .geluQuick
    case .relu: .relu
    case .tanh: .tanh
    }
  }

  /// state += down(activated)
  func addFeedForward(_ block: DecoderBlock, to state: Matrix) {
    input.set(activated)
    processor.multiply(input, [block.product(.down, into: state, accumulate: true)])
  }

  /// The whole block; `seen` is called when each input is there.
  func run(_ block: DecoderBlock, on state: Matrix, seen: (BlockInput) -> Void = { _ in }) {
    norm(state, block.attentionNorm)
    seen(.attention)
    attend(block)
    seen(.attended)
    addAttention(block, to: state)
    norm(state, block.feedForwardNorm)
    seen(.feedForward)
    activate(block)
    seen(.activated)
    addFeedForward(block, to: state)
  }
}
