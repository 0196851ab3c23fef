import ArgumentParser
import Footprint

/// How a model would be trained.
struct TrainingOptions: ParsableArguments {
  @Option(help: "As if trained with this optimizer: sgd, momentum, adam, adam-8bit or adafactor.")
  var train: String?

  @Option(help: "Training: mixed (default), f32 or bf16.")
  var precision: String?

  @Option(help: "Training: activations computed again instead of kept: none (default), selective or full.")
  var recompute: String?

  @Option(parsing: .unconditional, help: "Training: ZeRO stage, 0 to 3, over --gpus devices.")
  var zero: Int?

  @Option(parsing: .unconditional, help: "Training: data-parallel devices.")
  var gpus: Int?

  @Option(parsing: .unconditional, help: "Training: tensor-parallel devices (sequence-parallel as well).")
  var tensorParallel: Int?

  @Option(parsing: .unconditional, help: "Training: pipeline-parallel devices.")
  var pipelineParallel: Int?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("Training: only adapters of this rank beside every matrix (LoRA).", valueName: "rank"))
  var lora: Int?

  @Flag(help: "Training: adapters beside the attention's matrices only.")
  var loraAttention = false

  @Flag(help: "Training: the frozen base in 4 bits (QLoRA).")
  var nf4 = false

  func request() throws -> TrainingRequest? {
    guard let train else {
      let given: [(String, Bool)] = [
        ("--precision", precision != nil), ("--recompute", recompute != nil), ("--zero", zero != nil),
        ("--gpus", gpus != nil), ("--tensor-parallel", tensorParallel != nil),
        ("--pipeline-parallel", pipelineParallel != nil), ("--lora", lora != nil), ("--lora-attention", loraAttention),
        ("--nf4", nf4),
      ]
      if let name = given.first(where: \.1)?.0 {
        throw UsageError("\(name) is about training: say how with --train, such as --train adam")
      }
      return nil
    }
    if lora == nil, let name = nf4 ? "--nf4" : loraAttention ? "--lora-attention" : nil {
      throw UsageError("\(name) needs adapters to train: add --lora 16")
    }
    func option<Value: RawRepresentable & CaseIterable>(_ text: String?, _ name: String, _ otherwise: Value) throws
      -> Value where Value.RawValue == String
    {
      guard let text else { return otherwise }
      if let value = Value(rawValue: text) { return value }
      let known = Value.allCases.map(\.rawValue).joined(separator: ", ")
      throw UsageError("\(name) takes \(known), not '\(text)'")
    }
    return TrainingRequest(
      optimizer: try option(train, "--train", .adam), precision: try option(precision, "--precision", .mixed),
      recomputation: try option(recompute, "--recompute", .none), zeroStage: zero ?? 0, dataParallel: gpus ?? 1,
      tensorParallel: tensorParallel ?? 1, sequenceParallel: (tensorParallel ?? 1) > 1,
      pipelineParallel: pipelineParallel ?? 1,
      lowRank: lora.map { .init(rank: $0, allMatrices: !loraAttention) })
  }
}
