/// How much memory a model needs, line by line. Every figure is in bytes.
public struct Footprint: Sendable {
  /// Of the runtime: `llama.cpp`.
  public let profile: String
  public let context: Int
  public let batch: Int
  public let items: [FootprintItem]
  /// Beside a device with memory of its own: what stays in the host's. Not in any total.
  public private(set) var hostItems: [FootprintItem] = []
  /// What the law is known not to see, in sentences.
  public private(set) var notes: [String] = []

  /// Costs time proportional to the number of tensors; nothing is read.
  public init(of model: ModelShape, for request: FootprintRequest) throws(FootprintError) {
    try self.init(of: model, for: request, weights: nil)
  }

  /// - Parameter weights: the weights' items from before, for the same model and profile.
  init(of model: ModelShape, for request: FootprintRequest, weights: [FootprintItem]?) throws(FootprintError) {
    let profile = if let profile = request.profile { profile } else { try RuntimeProfile.named("quern") }
    try request.checked(profile)
    var items: [FootprintItem]
    var hostItems: [FootprintItem] = []
    var name = profile.name
    if let training = request.training {
      name = "training"
      items = try TrainingLaw(model: model, request: request, training: training).items()
    } else {
      // Checked when the weights were counted.
      if weights == nil { try profile.checkWeights(of: model) }
      let law = try profile.law.type.init(model: model, request: request, profile: profile)
      if let weights { items = weights } else { items = try law.weights() }
      items += try law.buffers()
      hostItems = try law.hostItems()
    }
    if let device = request.device, !device.isHost, profile.deviceContextBytes > 0 {
      items.append(
        try FootprintItem(.overhead, "driver context and libraries", Formula("bytes", profile.deviceContextBytes)))
    }
    try self.init(profile: name, context: request.context, batch: request.batch, items: items)
    self.hostItems = hostItems
    notes = Self.notes(of: model, for: request, profile: profile)
  }

  init(profile: String, context: Int, batch: Int, items: [FootprintItem]) throws(FootprintError) {
    self.profile = profile
    self.context = context
    self.batch = batch
    self.items = items
    let total = Formula.sum(items.map { Formula($0.name, $0.bytes) })
    guard total.value != nil else { throw .tooLarge(item: "the total", formula: "\(total)") }
  }

  public var weightsBytes: Int { bytes(of: .weights) }
  public var kvCacheBytes: Int { bytes(of: .kvCache) }
  public var computeBytes: Int { bytes(of: .compute) }
  public var overheadBytes: Int { bytes(of: .overhead) }
  public var gradientBytes: Int { bytes(of: .gradient) }
  public var optimizerBytes: Int { bytes(of: .optimizer) }
  public var hostBytes: Int { hostItems.reduce(0) { $0 + $1.bytes } }
  public var totalBytes: Int { items.reduce(0) { $0 + $1.bytes } }

  /// Where a law is known to fail, the report says so.
  private static func notes(
    of model: ModelShape, for request: FootprintRequest, profile: RuntimeProfile
  ) -> [String] {
    if let training = request.training {
      var notes = [
        "Buffers of communication, fragmentation and what a framework keeps beside its tensors are not counted."
      ]
      if training.zeroStage == 3 {
        notes.append("ZeRO-3 gathers the weights of a layer while it computes: some layers' worth comes on top.")
      }
      return notes
    }
    var notes: [String] = []
    if let trained = model.hyperparameters.integer("context_length"), trained > 0, request.context > trained {
      notes.append(
        "The model was trained on at most \(grouped(trained)) tokens: beyond them it gets worse, or fails.")
    }
    switch profile.law {
    case .quern:
      if !model.isRunnable {
        notes.append(
          "Quern's own runtime does not run the family \(model.family): this is what it would need. "
            + "Other profiles are of runtimes that may.")
      }
    case .llamaCpp:
      if request.offload != nil {
        notes.append(
          "What the device needs beside a part of the model is known less well: some megabytes more for copies.")
      }
      if model.isRecurrent {
        notes.append("The compute buffer of recurrent layers is not part of the law: it may be larger.")
      }
      if model.hyperparameters.integer("decoder_block_count") != nil {
        notes.append("Cross-attention is counted as a cache as long as the context.")
      }
    case .transformers:
      notes.append(
        "One device only. Over several, accelerate rounds to whole layers, keeps copies of activations, and the first "
          + "device holds more than its share: this law does not hold there.")
      if request.context > 16384 {
        notes.append(
          "What is counted is in use. nvidia-smi shows what PyTorch's allocator has reserved: at long contexts, "
            + "gigabytes more.")
      }
    case .vllm: notes.append("vLLM takes all of its share of the device: what is left becomes more cache.")
    }
    return notes
  }

  public func bytes(of part: FootprintItem.Part) -> Int {
    items.reduce(0) { $1.part == part ? $0 + $1.bytes : $0 }
  }
}
