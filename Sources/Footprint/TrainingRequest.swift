/// How a model shall be trained.
public struct TrainingRequest: Hashable, Sendable {
  public enum Optimizer: String, Sendable, CaseIterable {
    case sgd
    case momentum
    case adam
    /// Both moments in 8 bits with a scale per block of 2048 (bitsandbytes).
    case adam8bit = "adam-8bit"
    /// The second moment of a matrix as its row and column sums, no first moment.
    case adafactor
  }

  public enum Precision: String, Sendable, CaseIterable {
    /// 16-bit weights and gradients, F32 master weights in the optimizer.
    case mixed
    case f32
    /// 16-bit everything, optimizer included; no master weights.
    case bf16
  }

  /// Which activations are kept for the backward pass (Korthikanti et al. 2022).
  public enum Recomputation: String, Sendable, CaseIterable {
    case none
    /// Attention scores are computed again, as flash attention does.
    case selective
    /// Only each layer's input is kept.
    case full
  }

  public struct LowRank: Hashable, Sendable {
    public var rank: Int
    /// Adapters beside all matrices of the layers, not only the attention's.
    public var allMatrices: Bool

    public init(rank: Int, allMatrices: Bool = true) {
      self.rank = rank
      self.allMatrices = allMatrices
    }
  }

  public var optimizer: Optimizer
  public var precision: Precision
  public var recomputation: Recomputation
  /// What is divided among the data-parallel devices: 0 nothing, 1 the optimizer, 2 and the gradients, 3 and the weights.
  public var zeroStage: Int
  public var dataParallel: Int
  public var tensorParallel: Int
  /// Norms and dropout divided as well, along the sequence.
  public var sequenceParallel: Bool
  public var pipelineParallel: Int
  /// Only adapters are trained (LoRA); with a base in NF4, QLoRA: `ModelShape.encoded(as: .nf4)`.
  public var lowRank: LowRank?

  public init(
    optimizer: Optimizer = .adam, precision: Precision = .mixed, recomputation: Recomputation = .none,
    zeroStage: Int = 0,
    dataParallel: Int = 1, tensorParallel: Int = 1, sequenceParallel: Bool = false, pipelineParallel: Int = 1,
    lowRank: LowRank? = nil
  ) {
    self.optimizer = optimizer
    self.precision = precision
    self.recomputation = recomputation
    self.zeroStage = zeroStage
    self.dataParallel = dataParallel
    self.tensorParallel = tensorParallel
    self.sequenceParallel = sequenceParallel
    self.pipelineParallel = pipelineParallel
    self.lowRank = lowRank
  }

  func checked() throws(FootprintError) {
    guard (0...3).contains(zeroStage) else {
      throw .unsupported(what: "ZeRO stage \(zeroStage)", known: ["0", "1", "2", "3"])
    }
    for (name, count) in [
      ("data-parallel", dataParallel), ("tensor-parallel", tensorParallel), ("pipeline-parallel", pipelineParallel),
    ] where !(1...1_000_000).contains(count) {
      throw .unsupported(what: "\(count) \(name) devices", known: ["1 and more"])
    }
    if let rank = lowRank?.rank, !(1...65536).contains(rank) {
      throw .unsupported(what: "adapters of rank \(rank)", known: ["1 to 65536"])
    }
  }
}
