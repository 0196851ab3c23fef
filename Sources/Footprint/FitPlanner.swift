internal import IR

/// Fits one model and request to any number of devices; the weights are counted once.
public struct FitPlanner: Sendable {
  private let model: ModelShape
  private let request: FootprintRequest
  private let profile: RuntimeProfile
  private let work: TokenWork
  /// Whose memory takes what a device has no room for.
  private let host: Device?

  /// `request.device` is ignored: each fit sets it.
  /// - Parameter host: for the rates of a model that is divided; nil leaves them out.
  public init(_ model: ModelShape, _ request: FootprintRequest, host: Device? = nil) throws(FootprintError) {
    self.model = model
    self.host = host
    self.request = request
    let profile = if let profile = request.profile { profile } else { try RuntimeProfile.named("quern") }
    self.profile = profile
    work = try TokenWork(model, of: model.tensors)
  }

  /// What a runtime may take of a device's memory; nil where that is the user's choice.
  public static func usableBytes(of device: Device, by profile: RuntimeProfile) -> Int? {
    device.usableBytes.map { Int(Double($0) * profile.utilization) }
  }

  /// Nil for a device whose memory is the user's choice.
  public func fit(on device: Device) throws(FootprintError) -> DeviceFit? {
    guard let usable = Self.usableBytes(of: device, by: profile) else { return nil }
    var request = request
    request.device = device
    // Counted once for all contexts and batches.
    let weights = try profile.law.type.init(model: model, request: request, profile: profile).weights()
    let needs = { [request] (context: Int, batch: Int) throws(FootprintError) -> Footprint in
      var request = request
      request.context = context
      request.batch = batch
      request.promptTokens = request.promptTokens.map { min($0, context) }
      return try Footprint(of: model, for: request, weights: request.training == nil ? weights : nil)
    }
    let footprint = try needs(request.context, request.batch)
    let headroom = usable - footprint.totalBytes
    let trained = max(model.hyperparameters.integer("context_length") ?? 0, request.context)
    let maxContext = try most(upTo: trained, step: 256, within: usable) { (context) throws(FootprintError) in
      try needs(context, request.batch).totalBytes
    }
    let maxBatch = try most(upTo: 65536, step: 1, within: usable) { (batch) throws(FootprintError) in
      try needs(request.context, batch).totalBytes
    }
    // Rates are of models that run.
    let runs = headroom >= 0 && request.training == nil
    let isWhole = request.offload == nil
    // Encoders read and do not write.
    let writes = model.isCausal
    return DeviceFit(
      device: device, footprint: footprint, usableBytes: usable, headroomBytes: headroom, maxContext: maxContext,
      maxBatch: maxBatch,
      split: headroom < 0 && isWhole && !device.isUnified ? try split(on: device, request, usable) : nil,
      generation: !runs || !writes
        ? nil
        : isWhole
          ? generation(on: device, cacheBytes: footprint.kvCacheBytes)
          : try divided(on: device, footprint, request.offload),
      prompt: runs && isWhole ? prompt(on: device) : nil)
  }

  private func split(
    on device: Device, _ request: FootprintRequest, _ usable: Int
  ) throws(FootprintError) -> DeviceSplit? {
    guard profile.law == .llamaCpp, request.training == nil else { return nil }
    let best = try DeviceSplit.most(of: model, within: usable) { (offload) throws(FootprintError) in
      var request = request
      request.offload = offload
      return try Footprint(of: model, for: request)
    }
    guard let (offload, footprint) = best else { return nil }
    let layers = try model.layerCount()
    return DeviceSplit(
      offload: offload, footprint: footprint, layers: layers - offload.firstLayer(of: layers),
      generation: try divided(on: device, footprint, offload))
  }

  /// Both read their part of the weights and the cache, one after the other.
  private func divided(
    on device: Device, _ footprint: Footprint, _ offload: Offload?
  ) throws(FootprintError) -> DeviceFit.Rate? {
    guard let offload, let host, let there = host.bandwidthBytesPerSecond, let here = device.bandwidthBytesPerSecond
    else { return nil }
    let first = offload.firstLayer(of: try model.layerCount())
    let isAway = { (tensor: ModelShape.Tensor) -> Bool in
      guard let layer = tensor.layer else { return offload.gpuLayers == 0 }
      return layer < first || (tensor.isExperts && layer < offload.layersWithoutExperts)
    }
    let away = try TokenWork(model, of: model.tensors.filter(isAway))
    let cacheAway = footprint.hostItems.reduce(0) { $1.part == .kvCache ? $0 + $1.bytes : $0 }
    let onHost = (away.weightBytes + Double(cacheAway)) / (there * profile.host.bandwidth)
    let onDevice =
      (work.weightBytes - away.weightBytes + Double(footprint.kvCacheBytes)) / (here * profile.device.bandwidth)
    let launches = work.layers * max(profile.device.secondsPerLayer, profile.host.secondsPerLayer)
    let parts: [(Double, DeviceFit.Bottleneck)] = [
      (onDevice, .bandwidth), (onHost, .host), (launches, .launches),
    ]
    let worst = parts.max { $0.0 < $1.0 }?.1 ?? .host
    return .init(tokensPerSecond: Double(request.batch) / (onHost + onDevice + launches), bottleneck: worst)
  }

  /// The largest value that fits, in whole steps or the limit itself; 0 when none does. Needs grow with the value, and
  /// nearly in a straight line: the line through what is known tells where to look, so a few looks do.
  private func most(
    upTo limit: Int, step: Int, within usable: Int, _ needs: (Int) throws(FootprintError) -> Int
  ) throws(FootprintError) -> Int {
    var (high, highBytes) = ((limit + step - 1) / step, try needs(limit))
    if highBytes <= usable { return limit }
    guard high > 1 else { return 0 }
    var (low, lowBytes) = (1, try needs(step))
    if lowBytes > usable { return 0 }
    var isGuess = true
    while low + 1 < high {
      let share = Double(usable - lowBytes) / Double(max(1, highBytes - lowBytes))
      let guess = low + Int(Double(high - low) * min(1, share))
      // Halves in turn, lest a crooked line be walked along in single steps.
      let middle = isGuess ? min(max(guess, low + 1), high - 1) : (low + high) / 2
      let bytes = try needs(middle * step)
      if bytes <= usable { (low, lowBytes) = (middle, bytes) } else { (high, highBytes) = (middle, bytes) }
      isGuess.toggle()
    }
    return low * step
  }

  func generation(on device: Device, cacheBytes: Int) -> DeviceFit.Rate? {
    guard let bandwidth = device.bandwidthBytesPerSecond else { return nil }
    let efficiency = device.isHost ? profile.host : profile.device
    let batch = Double(request.batch)
    let reading = (work.weightBytes + Double(cacheBytes)) / (bandwidth * efficiency.bandwidth)
    let arithmetic = arithmeticRate(of: device).map { work.operations * batch / ($0 * efficiency.compute) } ?? 0
    let launches = work.layers * efficiency.secondsPerLayer
    let parts: [(Double, DeviceFit.Bottleneck)] = [
      (reading, .bandwidth), (arithmetic, .arithmetic), (launches, .launches),
    ]
    let worst = parts.max { $0.0 < $1.0 }?.1 ?? .bandwidth
    return .init(tokensPerSecond: batch / (max(reading, arithmetic) + launches), bottleneck: worst)
  }

  private func prompt(on device: Device) -> DeviceFit.Rate? {
    guard let rate = arithmeticRate(of: device), let bandwidth = device.bandwidthBytesPerSecond else { return nil }
    let efficiency = device.isHost ? profile.host : profile.device
    let tokens = Double(min(request.microBatch ?? profile.microBatch ?? request.context, request.context))
    let position = Double(request.promptTokens ?? request.context) / 2
    let arithmetic = tokens * (work.operations + work.attentionOperations * position) / (rate * efficiency.compute)
    let reading = work.weightBytes / (bandwidth * efficiency.bandwidth)
    let launches = work.layers * efficiency.secondsPerLayer
    let parts: [(Double, DeviceFit.Bottleneck)] = [
      (arithmetic, .arithmetic), (reading, .bandwidth), (launches, .launches),
    ]
    let worst = parts.max { $0.0 < $1.0 }?.1 ?? .arithmetic
    return .init(tokensPerSecond: tokens / (max(arithmetic, reading) + launches), bottleneck: worst)
  }

  /// Half precision where it is the faster one (early cards have it at a sixty-fourth of the rate).
  private func arithmeticRate(of device: Device) -> Double? {
    [device.float16OperationsPerSecond, device.float32OperationsPerSecond].compactMap { $0 }.max()
  }
}

/// What one generated token costs.
struct TokenWork: Sendable {
  /// Weights that are read: all but the embedding's rows, and of experts those in use.
  let weightBytes: Double
  /// Two for each of those weights.
  let operations: Double
  /// Times the position: scores and their products with values.
  let attentionOperations: Double
  let layers: Double

  /// - Parameter tensors: all of the model's, or a part of them.
  init(_ model: ModelShape, of tensors: [ModelShape.Tensor]) throws(FootprintError) {
    let experts = model.hyperparameters.integer("expert_count") ?? 0
    let used = model.hyperparameters.integer("expert_used_count") ?? 0
    let share = experts > 0 ? Double(used) / Double(experts) : 1
    let hasHead = model.tensors.contains { $0.role == .head }
    let count = try model.layerCount()
    // Layers may share their weights (ALBERT): those are read again for each.
    let distinct = Set(tensors.lazy.filter { $0.role == .layers }.compactMap(\.layer)).count
    let isShared = distinct == 1 && count > 1 && tensors.count == model.tensors.count
    var bytes = 0.0
    var elements = 0.0
    for tensor in tensors where tensor.role != .embedding || !hasHead {
      let part = (tensor.isExperts && experts > 0 ? share : 1) * (isShared && tensor.layer != nil ? Double(count) : 1)
      bytes += Double(tensor.byteCount ?? 0) * part
      elements += Double(tensor.shape.elementCount) * part
    }
    weightBytes = bytes
    operations = 2 * elements
    layers = Double(count)
    let heads = Double(try model.required("attention.head_count"))
    attentionOperations = 4 * layers * heads * Double(try model.required("attention.key_length"))
  }
}
