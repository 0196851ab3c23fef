import Bytes
import Calibration
import Codecs
import IR
import Kernels
import Passes

/// The matrices of a plan that GPU libraries' schemes pack, and their place in a Hugging Face export.
struct PackedWeights: Sendable {
  let scheme: PackingScheme
  /// By canonical name.
  private let matrices: [ByteString: PackedMatrix]

  /// Nil for a plan that packs nothing.
  /// - Parameter calibrated: the matrices whose values a calibration will supply.
  init?(
    _ plan: QuantizationPlan?, of model: Model, importance: Importance?, calibrated: Set<ByteString>, kernels: Kernels
  ) {
    guard let plan, let scheme = plan.packing else { return nil }
    var matrices: [ByteString: PackedMatrix] = [:]
    for step in plan.steps where step.isPacked {
      guard let tensor = model[step.name] else { continue }
      var base = tensor
      if tensor.format != step.to, let source = RecodedSource(tensor, as: step.to, kernels: kernels) {
        base.format = step.to
        base.source = source
      }
      matrices[step.name] = PackedMatrix(
        base, as: scheme, importance: importance?.weights(of: step.name, shape: tensor.shape),
        isSupplied: calibrated.contains(step.name), kernels: kernels)
    }
    guard !matrices.isEmpty else { return nil }
    self.scheme = scheme
    self.matrices = matrices
  }

  /// What packing a tensor cost, once it was written; nil for others.
  func statistics(of name: ByteString) -> RecodeStatistics? { matrices[name]?.statistics }

  /// Takes what a calibration made of a matrix.
  func supply(_ tensor: EncodedTensor) {
    guard let groups = tensor.groups else { return }
    matrices[tensor.name]?.supply(groups, statistics: tensor.statistics)
  }

  func isPacked(_ name: ByteString) -> Bool { matrices[name] != nil }

  /// Puts the parts of each matrix in its place, and the scheme into config.json.
  func replaceMatrices(of model: Model, in export: inout HuggingFaceExport) {
    var ignored: [String] = []
    export.tensors = zip(model.tensors, export.tensors).flatMap { canonical, tensor -> [TensorRef] in
      guard tensor.name.hasSuffix(".weight") else { return [tensor] }
      let path = ByteString(bytes: Array(tensor.name.bytes.dropLast(".weight".utf8.count)))
      if let matrix = matrices[canonical.name] { return matrix.tensors(path: path) }
      if canonical.name == "output.weight" || (canonical.name.hasPrefix("blk.") && canonical.shape.dimensions.count > 1)
      {
        ignored.append(path.text)
      }
      return [tensor]
    }
    let head = "lm_head"
    if !ignored.contains(head) { ignored.append(head) }
    var settings = scheme.configuration(ignoring: ignored)
    if let bytes = export.files["config.json"], let json = try? JSONValue.parse(bytes), var configuration = json.object
    {
      configuration["quantization_config"] = .object(settings)
      export.files["config.json"] = Self.file(configuration)
    }
    if scheme.method == .gptq {
      settings["quant_method"] = nil
      export.files["quantize_config.json"] = Self.file(settings)
    }
  }

  private static func file(_ object: JSONObject) -> [UInt8] {
    JSONValue.object(object).serialized(pretty: true) + [UInt8(ascii: "\n")]
  }
}
