/// How much memory a model needs, line by line. Every figure is in bytes.
public struct Footprint: Sendable {
  /// Of the runtime: `llama.cpp`.
  public let profile: String
  public let context: Int
  public let batch: Int
  public let items: [FootprintItem]

  /// Costs time proportional to the number of tensors; nothing is read.
  public init(of model: ModelShape, for request: FootprintRequest) throws(FootprintError) {
    try self.init(of: model, for: request, weights: nil)
  }

  /// - Parameter weights: the weights' items from before, for the same model and profile.
  init(of model: ModelShape, for request: FootprintRequest, weights: [FootprintItem]?) throws(FootprintError) {
    try request.checked()
    let profile = if let profile = request.profile { profile } else { try RuntimeProfile.named("quern") }
    var items: [FootprintItem]
    var name = profile.name
    if let training = request.training {
      name = "training"
      items = try TrainingLaw(model: model, request: request, training: training).items()
    } else {
      let law = try profile.law.type.init(model: model, request: request, profile: profile)
      if let weights { items = weights } else { items = try law.weights() }
      items += try law.buffers()
    }
    if let device = request.device, !device.isHost, profile.deviceContextBytes > 0 {
      items.append(
        try FootprintItem(.overhead, "driver context and libraries", Formula("bytes", profile.deviceContextBytes)))
    }
    try self.init(profile: name, context: request.context, batch: request.batch, items: items)
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
  public var totalBytes: Int { items.reduce(0) { $0 + $1.bytes } }

  public func bytes(of part: FootprintItem.Part) -> Int {
    items.reduce(0) { $1.part == part ? $0 + $1.bytes : $0 }
  }
}
