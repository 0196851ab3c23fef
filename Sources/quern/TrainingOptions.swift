import ArgumentParser
import Footprint

/// How a model would be trained.
struct TrainingOptions: ParsableArguments {
  @Option(help: "As if trained with this optimizer: sgd, momentum, adam, adam-8bit or adafactor.")
  var train: String?

  @Option(help: "Training: mixed, f32 or bf16.")
  var precision = "mixed"

  @Option(help: "Training: activations computed again instead of kept: none, selective or full.")
  var recompute = "none"

  @Option(help: "Training: ZeRO stage, 0 to 3, over --gpus devices.")
  var zero = 0

  @Option(help: "Training: data-parallel devices.")
  var gpus = 1

  @Option(help: "Training: tensor-parallel devices.")
  var tensorParallel = 1

  @Option(help: "Training: pipeline-parallel devices.")
  var pipelineParallel = 1

  @Option(help: ArgumentHelp("Training: only adapters of this rank (LoRA).", valueName: "rank"))
  var lora: Int?

  @Flag(help: "Training: the frozen base in 4 bits (QLoRA).")
  var nf4 = false

  func request() throws -> TrainingRequest? {
    guard let train else { return nil }
    func option<Value: RawRepresentable & CaseIterable>(_ text: String, _ name: String) throws -> Value
    where Value.RawValue == String {
      if let value = Value(rawValue: text) { return value }
      let known = Value.allCases.map(\.rawValue).joined(separator: ", ")
      throw UsageError("\(name) takes \(known), not '\(text)'")
    }
    return TrainingRequest(
      optimizer: try option(train, "--train"), precision: try option(precision, "--precision"),
      recomputation: try option(recompute, "--recompute"), zeroStage: zero, dataParallel: gpus,
      tensorParallel: tensorParallel, sequenceParallel: tensorParallel > 1, pipelineParallel: pipelineParallel,
      lowRank: lora.map { .init(rank: $0) })
  }
}
