public import Bytes
public import IR
public import Kernels

/// Which format each tensor will have: computed from names and shapes alone, so it can be shown before any work.
public struct QuantizationPlan: Hashable, Sendable {
  /// How a tensor's blocks are found.
  public enum Method: String, Hashable, Sendable, CaseIterable {
    /// Each block by itself: the scale is searched, weighted by the columns' importance where that is known.
    case search
    /// Column by column, each one's error made good by those that follow; needs calibration.
    case feedback
  }

  public struct Step: Hashable, Sendable {
    public let name: ByteString
    public let shape: Shape
    public let from: BlockFormat
    public var to: BlockFormat
    /// Nil leaves it to the command: the best that the calibration data allow.
    public var method: Method?
    /// Whether the plan's packing takes the tensor's place; `to` is then what it is packed from.
    public var isPacked = false
    /// Why this format, in a few words: the recipe's rule, an override, or a fallback.
    public var reason: String

    public init(
      name: ByteString, shape: Shape, from: BlockFormat, to: BlockFormat, method: Method? = nil, reason: String
    ) {
      self.name = name
      self.shape = shape
      self.from = from
      self.to = to
      self.method = method
      self.reason = reason
    }
  }

  /// Who made it: a recipe's name, or nil.
  public var recipe: String?
  /// `general.file_type` of a GGUF written by it; nil to take it from the tensors.
  public var ggufFileType: Int?
  /// How GPU libraries keep the steps that are packed; for safetensors only.
  public var packing: PackingScheme?
  public var steps: [Step]

  public init(recipe: String? = nil, ggufFileType: Int? = nil, packing: PackingScheme? = nil, steps: [Step]) {
    self.recipe = recipe
    self.ggufFileType = ggufFileType
    self.packing = packing
    self.steps = steps
  }

  /// Bytes of all tensors afterwards.
  public var byteCount: Int {
    steps.reduce(0) { $0 + byteCount(of: $1) }
  }

  public func byteCount(of step: Step) -> Int {
    if step.isPacked, let packing {
      return packing.byteCount(of: step.shape, scaleFormat: PackingScheme.scaleFormat(for: step.to))
    }
    return (step.to.byteCount(elements: step.shape.columns) ?? 0) * step.shape.rows
  }

  /// The grid that error feedback rounds to, where the step is packed in groups.
  public func grid(of step: Step) -> GroupGrid? {
    guard step.isPacked, let packing else { return nil }
    return packing.grid(for: step.shape, scaleFormat: PackingScheme.scaleFormat(for: step.to))
  }

  public var elementCount: Int { steps.reduce(0) { $0 + $1.shape.elementCount } }
  public var bitsPerWeight: Double { elementCount == 0 ? 0 : Double(byteCount) * 8 / Double(elementCount) }

  /// Small matrices that llama.cpp adds or multiplies element by element, for which it has F32 operators only.
  public mutating func widenForLlama() {
    for index in steps.indices where [.f16, .bf16].contains(steps[index].to) && steps[index].shape.dimensions.count > 1
    {
      let name = steps[index].name
      guard name == "token_types.weight" || name.hasSuffix("_norm.weight") || name.hasSuffix("ffn_gate_inp.weight")
      else {
        continue
      }
      steps[index].to = .f32
      steps[index].reason = "F32 in GGUF"
    }
  }

  /// Matrices as they are and 16-bit vectors widened to F32, without loss: what llama.cpp's operators want of norms and
  /// biases.
  public static func widenedVectors(of model: Model) -> QuantizationPlan {
    QuantizationPlan(
      steps: model.tensors.map { tensor in
        let isNarrow = tensor.shape.dimensions.count == 1 && [.f16, .bf16].contains(tensor.format)
        return Step(
          name: tensor.name, shape: tensor.shape, from: tensor.format, to: isNarrow ? .f32 : tensor.format,
          reason: isNarrow ? "vectors are F32 in GGUF" : "kept")
      })
  }
}
