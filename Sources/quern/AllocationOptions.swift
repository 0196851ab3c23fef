import ArgumentParser
import Bytes
import Calibration
import Conversion
import IR
import Kernels
import Passes

/// A size or a loss to reach, with a type for every tensor chosen by what it loses there.
struct AllocationOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Choose types so that the file is at most this large: 90MB. Needs --calibrate.", valueName: "size"))
  var targetSize: String?

  @Option(help: ArgumentHelp("The same by bits per weight, over the whole model: 4.5.", valueName: "bits"))
  var bits: Double?

  @Option(
    name: .customLong("max-kld"),
    help: ArgumentHelp(
      "The smallest that is expected to lose at most this much, in nats per token: 0.05.", valueName: "nats"))
  var maximumLoss: Double?

  @Option(help: .hidden)
  var sensitivityTokens = 8192

  func validate() throws {
    if [targetSize != nil, bits != nil, maximumLoss != nil].count(where: { $0 }) > 1 {
      throw ValidationError("--target-size, --bits and --max-kld exclude each other")
    }
    if let bits, !(bits > 0 && bits < 64) {
      throw ValidationError("--bits takes bits per weight such as 4.5, not \(bits)")
    }
    if let maximumLoss, !(maximumLoss > 0) { throw ValidationError("--max-kld takes more than 0, not \(maximumLoss)") }
  }

  var isWanted: Bool { targetSize != nil || bits != nil || maximumLoss != nil }

  /// The plan with formats chosen by measured sensitivity where no --tensor decides.
  /// - Parameter fixedBytes: of the file besides its tensors.
  func allocate(
    _ plan: QuantizationPlan, after text: CalibrationText, overrides: [FormatOverride], fixedBytes: Int,
    processor: Processor, isQuiet: Bool
  ) throws -> QuantizationPlan {
    guard let measured = try text.choices(tokens: sensitivityTokens, processor, isQuiet: isQuiet) else { return plan }
    // What the recipe keeps as floats, routers for one, stays so.
    let packed = Set(plan.steps.filter { $0.to.kind == .packed }.map(\.name))
    let free = measured.filter { tensor in
      packed.contains(tensor.name) && !overrides.contains { $0.matches(tensor.name) }
    }
    let names = Set(free.map(\.name))
    let rest = plan.steps.filter { !names.contains($0.name) }.reduce(0) {
      $0 + ($1.to.byteCount(elements: $1.shape.columns) ?? 0) * $1.shape.rows
    }
    let allocation: Allocation?
    if let maximumLoss {
      allocation = Allocation(free, maximumLoss: maximumLoss)
      guard allocation != nil else {
        throw UsageError(
          "--max-kld \(maximumLoss) is out of reach with the types there are; use int8 or a larger value")
      }
    } else {
      let budget = try budget(plan, fixedBytes: fixedBytes) - rest
      allocation = Allocation(free, budget: budget)
      if allocation == nil {
        let least = free.reduce(rest + fixedBytes) { $0 + ($1.choices.map(\.byteCount).min() ?? 0) }
        throw UsageError("the smallest file possible here has \(Format.bytes(least)); give a larger size")
      }
    }
    guard let allocation else { return plan }
    var result = plan
    for index in result.steps.indices {
      guard let format = allocation.formats[result.steps[index].name] else { continue }
      result.steps[index].to = format
      result.steps[index].reason = "allocated"
    }
    if !isQuiet {
      Terminal.standardError(
        "quern: allocated \(Format.bytes(allocation.byteCount + rest)) of tensors; expected loss without sequential "
          + "targets \(Format.short(allocation.loss)) nats per token\n")
    }
    return result
  }

  /// Bytes for tensors.
  private func budget(_ plan: QuantizationPlan, fixedBytes: Int) throws -> Int {
    if let bits { return Int(bits * Double(plan.elementCount) / 8) }
    guard let targetSize, let bytes = ByteSize(targetSize)?.bytes else {
      throw UsageError("--target-size takes a size such as 90MB, not '\(targetSize ?? "")'")
    }
    return bytes - fixedBytes
  }
}
