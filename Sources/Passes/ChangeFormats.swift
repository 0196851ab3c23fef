public import Bytes
import Codecs
public import IR
public import Kernels

/// Stores each tensor in the plan's format.
///
///     before  blk.0.ffn_up.weight  [1536, 576] F16   file
///     after   blk.0.ffn_up.weight  [1536, 576] Q4_0  recoded(file)
///
/// A tensor that is in its format already keeps its bytes. Those that calibration encodes get their bytes later.
public struct ChangeFormats: Pass {
  public let name = "change formats"
  public let plan: QuantizationPlan
  private let importance: Importance?
  private let kernels: Kernels
  private let pending: [ByteString: PendingTensorSource]

  /// - Parameters:
  ///   - importance: weighs each column's error; a tensor without an entry of its shape is weighed evenly.
  ///   - pending: for the tensors that are not encoded here but computed elsewhere, what will hold their bytes.
  public init(
    _ plan: QuantizationPlan, importance: Importance? = nil, pending: [ByteString: PendingTensorSource] = [:],
    kernels: Kernels
  ) {
    self.plan = plan
    self.importance = importance
    self.pending = pending
    self.kernels = kernels
  }

  public func requires(_ model: Model) throws(PassError) {
    for step in plan.steps {
      guard let tensor = model[step.name] else {
        throw PassError(pass: name, tensor: step.name, problem: "is not in the model")
      }
      guard step.to != tensor.format else { continue }
      guard Codec.for(tensor.format, kernels: kernels) != nil else {
        throw PassError(pass: name, tensor: step.name, problem: "cannot decode \(tensor.format.name)")
      }
      guard let target = Codec.for(step.to, kernels: kernels), target.canEncode else {
        throw PassError(pass: name, tensor: step.name, problem: "cannot encode \(step.to.name)")
      }
    }
  }

  public func run(_ model: Model) throws(PassError) -> Model {
    let targets = Dictionary(uniqueKeysWithValues: plan.steps.map { ($0.name, $0.to) })
    var result = model
    let unread = WeightImportance(model, kernels: kernels)
    // An imatrix speaks for what it names.
    let sums = unread.sums(
      for: targets.filter { name, _ in
        guard pending[name] == nil, let shape = model[name]?.shape else { return false }
        return importance?.weights(of: name, shape: shape) == nil
      })
    result.replaceTensors(
      model.tensors.map { (tensor: TensorRef) -> TensorRef in
        guard let format = targets[tensor.name], format != tensor.format || pending[tensor.name] != nil else {
          return tensor
        }
        let source: (any TensorSource)? =
          pending[tensor.name]
          ?? RecodedSource(
            tensor, as: format,
            importance: { [importance] in
              importance?.weights(of: tensor.name, shape: tensor.shape) ?? unread.weights(of: tensor, as: format)
            },
            isUnbiased: Self.isSummedAlike(tensor.name), follows: unread.sources(of: tensor.name, as: format),
            watch: sums[tensor.name]?.gather, kernels: kernels)
        guard let source else { return tensor }
        var recoded = tensor
        recoded.format = format
        recoded.source = source
        return recoded
      })
    return result
  }

  /// Whether inputs and weights of a matrix go together, so that what rounding takes from its sums is missed. Of an
  /// embedding nothing is summed; a way down reads neurons that are rarely active together. On SmolLM2 both lose by larger
  /// scales, where the other matrices win or do not mind.
  private static func isSummedAlike(_ name: ByteString) -> Bool {
    (name.text.contains("blk.") || name == "output.weight") && !name.text.contains("ffn_down")
  }

  public func ensures(_ result: Model, from model: Model) throws(PassError) {
    for step in plan.steps where result[step.name]?.format != step.to {
      throw PassError(pass: name, tensor: step.name, problem: "was not stored as \(step.to.name)")
    }
  }
}
