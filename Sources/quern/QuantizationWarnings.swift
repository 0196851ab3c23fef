import Conversion
import IR
import Passes

/// What a user should look at before trusting the output.
enum QuantizationWarnings {
  /// Before the work: tensors that lost something already.
  static func before(_ plan: QuantizationPlan) -> [String] {
    let again = plan.steps.filter { $0.from.kind == .packed && $0.to != $0.from && $0.to.kind == .packed }
    guard let first = again.first else { return [] }
    return [
      "\(again.count) tensors are quantized already (\(first.name) as \(first.from.name)), and quantizing again adds to "
        + "what they lost; start from the full-precision model where you can"
    ]
  }

  /// Those of the conversion itself, and those of its outcome.
  static func all(_ result: ConversionResult, _ plan: QuantizationPlan) -> [String] {
    result.warnings + after(result, plan)
  }

  /// After it: heads of few bits, experts and narrow matrices that are hurt, and tensors that lost much more than others
  /// of their type.
  static func after(_ result: ConversionResult, _ plan: QuantizationPlan) -> [String] {
    var warnings: [String] = []
    let packed = result.tensors.filter { $0.from != $0.to && $0.to.kind == .packed && $0.relativeError != nil }
    let hasHead = packed.contains { $0.name == "output.weight" }
    for tensor in packed where tensor.name == "output.weight" || (!hasHead && tensor.name == "token_embd.weight") {
      guard tensor.to.bitsPerElement < 4 else { continue }
      warnings.append(
        "the output head \(tensor.name) has \(Format.fixed(tensor.to.bitsPerElement, 1)) bits a weight, and every "
          + "answer passes through it; --tensor '^\(tensor.name)$=q6_k' costs little")
    }
    warnings += hurt(packed, plan)
    for format in Set(packed.map(\.to)).sorted(by: { $0.name < $1.name }) {
      let group = packed.filter { $0.to == format }
      let errors = group.compactMap(\.relativeError).sorted()
      guard group.count >= 4, let largest = group.max(by: { ($0.relativeError ?? 0) < ($1.relativeError ?? 0) }),
        let error = largest.relativeError
      else { continue }
      let median = errors[errors.count / 2]
      guard error > 0.02, error > 1.75 * median else { continue }
      warnings.append(
        "\(largest.name) loses \(Format.percent(error)) as \(format.name), where others lose \(Format.percent(median)); "
          + "give it more bits with --tensor")
    }
    return warnings
  }

  /// A stack of experts of which each sees few tokens, and matrices so narrow that few weights share a block's loss, are
  /// hurt sooner than others; keeping them costs little where they are small.
  private static func hurt(_ packed: [ConversionResult.Tensor], _ plan: QuantizationPlan) -> [String] {
    let shapes = Dictionary(plan.steps.map { ($0.name, $0.shape) }, uniquingKeysWith: { first, _ in first })
    var warnings: [String] = []
    let kinds: [(words: String, limit: Double, isOne: (Shape) -> Bool)] = [
      ("matrices of experts", 0.1, { $0.dimensions.count > 2 }),
      ("matrices with a side below 128", 0.05, { $0.dimensions.count == 2 && min($0.rows, $0.columns) < 128 }),
    ]
    for kind in kinds {
      let group = packed.filter { tensor in
        (tensor.relativeError ?? 0) > kind.limit && shapes[tensor.name].map(kind.isOne) ?? false
      }
      guard let worst = group.max(by: { ($0.relativeError ?? 0) < ($1.relativeError ?? 0) }),
        let error = worst.relativeError
      else { continue }
      warnings.append(
        "\(group.count) \(kind.words) lose more than \(Format.percent(kind.limit)), worst \(worst.name) with "
          + "\(Format.percent(error)) as \(worst.storedAs); give them more bits with --tensor")
    }
    return warnings
  }
}
