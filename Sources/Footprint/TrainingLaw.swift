internal import IR

/// What training needs on each device: weights, gradients, optimizer states, and the activations that the backward pass
/// reads. The context is the length of the sequences, the batch the micro-batch.
struct TrainingLaw {
  let model: ModelShape
  let request: FootprintRequest
  let training: TrainingRequest

  func items() throws(FootprintError) -> [FootprintItem] {
    try training.checked()
    var items: [FootprintItem] = []
    let isSplit = training.tensorParallel * training.pipelineParallel > 1
    let part = training.tensorParallel * training.pipelineParallel
    let all = Formula("parameters", model.parameterCount)
    let mine = isSplit ? all.divided(by: part) : all
    var trained = mine
    if let lowRank = training.lowRank {
      // The base is frozen, in the encoding it has; only adapters have gradients.
      for item in try weightItems(of: model) {
        let bytes = Formula(item.name, item.bytes)
        items.append(try FootprintItem(.weights, "frozen \(item.name)", isSplit ? bytes.divided(by: part) : bytes))
      }
      trained = Formula("adapter parameters", try adapterParameters(lowRank))
      items.append(try FootprintItem(.weights, "adapters", weightBytes * trained))
    } else {
      items.append(try FootprintItem(.weights, "weights", shared(weightBytes * mine, from: 3)))
    }
    items.append(try FootprintItem(.gradient, "gradients", shared(weightBytes * trained, from: 2)))
    items += try optimizerItems(trained)
    return try items + activationItems()
  }

  private var weightBytes: Formula {
    training.precision == .f32 ? Formula("F32 bytes", 4) : Formula("16-bit bytes", 2)
  }

  /// ZeRO divides among the data-parallel devices from the stage on.
  private func shared(_ bytes: Formula, from stage: Int) -> Formula {
    training.zeroStage >= stage && training.dataParallel > 1 ? bytes.divided(by: training.dataParallel) : bytes
  }

  private func optimizerItems(_ trained: Formula) throws(FootprintError) -> [FootprintItem] {
    var items: [FootprintItem] = []
    if training.precision == .mixed {
      items.append(
        try FootprintItem(.optimizer, "master weights", shared(Formula("F32 bytes", 4) * trained, from: 1)))
    }
    let width = training.precision == .bf16 ? Formula("16-bit bytes", 2) : Formula("F32 bytes", 4)
    switch training.optimizer {
    case .sgd: break
    case .momentum: items.append(try FootprintItem(.optimizer, "momentum", shared(width * trained, from: 1)))
    case .adam: items.append(try FootprintItem(.optimizer, "both moments", shared(2 * width * trained, from: 1)))
    case .adam8bit:
      let scales = trained.divided(by: 2048) * Formula("scale bytes", 4)
      items.append(try FootprintItem(.optimizer, "both moments, 8 bits", shared(2 * (trained + scales), from: 1)))
    case .adafactor:
      let sums = model.tensors.reduce(0) {
        $0 + ($1.shape.dimensions.count > 1 ? $1.shape.rows + $1.shape.columns : $1.shape.elementCount)
      }
      items.append(
        try FootprintItem(.optimizer, "row and column sums", shared(4 * Formula("rows and columns", sums), from: 1)))
    }
    return items
  }

  /// A pair of matrices beside each adapted one: rank × (rows + columns).
  private func adapterParameters(_ lowRank: TrainingRequest.LowRank) throws(FootprintError) -> Int {
    var sum: Formula = 0
    var count = 0
    for tensor in model.tensors where tensor.role == .layers && tensor.shape.dimensions.count == 2 {
      guard lowRank.allMatrices || "\(tensor.name)".contains("attn_") else { continue }
      sum =
        Formula("so far", count) + Formula("rank", lowRank.rank)
        * Formula("sides", tensor.shape.rows + tensor.shape.columns)
      guard let value = sum.value else { throw .tooLarge(item: "adapters", formula: "\(sum)") }
      count = value
    }
    return count
  }

  /// Bytes per token and layer, after Korthikanti et al. (masks of a byte), with the counts of a gated feed-forward and
  /// grouped heads where a model has them. For GPT in 16 bits: (34 + 5 · heads · sequence / width) · width.
  ///
  /// The first of `p` pipeline stages has `p` micro-batches on their way through (one forward, one backward), so it
  /// keeps as much as one device with all layers would.
  private func activationItems() throws(FootprintError) -> [FootprintItem] {
    let dimensions = try Dimensions(model)
    let stages = training.pipelineParallel
    let decoders = model.hyperparameters.integer("decoder_block_count") ?? 0
    let layers = Formula("layers", try model.required("block_count") + decoders)
    let kept = stages > 1 ? layers.divided(by: stages) * Formula("micro-batches in flight", stages) : layers
    let tokens = Formula("batch", request.batch) * Formula("sequence", request.context)
    let t = training.tensorParallel
    // A model without gates is of GPT's kind, with dropout after attention and feed-forward.
    let isGated = model.tensors.contains {
      $0.name == "blk.0.ffn_gate.weight" || $0.name == "blk.0.ffn_gate_exps.weight"
    }
    let feedForward = dimensions.experts.map { $0.used * $0.width } ?? dimensions.feedForward ?? 0
    let queries = dimensions.heads * dimensions.keyLength
    let keysAndValues = dimensions.keyValueHeads * (dimensions.keyLength + dimensions.valueLength)
    let b = training.precision == .f32 ? 4 : 2
    // Inputs of attention and feed-forward, of both norms, and dropout's masks: whole on every tensor-parallel device.
    let whole = Formula("bytes", isGated ? 4 * b : 4 * b + 2) * dimensions.width
    let divided =
      Formula("bytes", 2 * b) * queries + Formula("bytes", b) * keysAndValues
      + Formula("bytes", isGated ? 4 * b : 2 * b) * feedForward
    let scores = Formula("bytes", isGated ? b : 2 * b + 1) * dimensions.heads * Formula("sequence", request.context)
    let perToken = { (keepsScores: Bool) in
      let inner = keepsScores ? divided + scores : divided
      let outer = training.sequenceParallel && t > 1 ? whole.divided(by: t) : whole
      return outer + (t > 1 ? inner.divided(by: t) : inner)
    }
    let name = "activations, recomputation \(training.recomputation.rawValue)"
    var items: [FootprintItem] = []
    switch training.recomputation {
    case .none: items.append(try FootprintItem(.compute, name, kept * tokens * perToken(true)))
    case .selective: items.append(try FootprintItem(.compute, name, kept * tokens * perToken(false)))
    case .full:
      items.append(try FootprintItem(.compute, name, kept * tokens * (Formula("bytes", b) * dimensions.width)))
      items.append(try FootprintItem(.compute, "one layer, computed again", tokens * perToken(true)))
    }
    if training.pipelineParallel == 1 {
      let vocabulary = t > 1 ? dimensions.vocabulary.divided(by: t) : dimensions.vocabulary
      items.append(
        try FootprintItem(.compute, "logits and last norm, F32", 4 * tokens * (dimensions.width + vocabulary)))
    }
    return items
  }
}
