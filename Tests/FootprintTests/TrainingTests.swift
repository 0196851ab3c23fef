import Footprint
import IR
import Testing

@Suite struct TrainingTests {
  /// A GPT of given dimensions, with `parameters` in one matrix besides.
  static func gpt(layers: Int, width: Int, heads: Int, parameters: Int = 0) -> ModelShape {
    var hyperparameters = Hyperparameters()
    for (name, value) in [
      ("block_count", layers), ("embedding_length", width), ("feed_forward_length", 4 * width), ("vocab_size", 51200),
      ("context_length", 2048), ("attention.head_count", heads), ("attention.head_count_kv", heads),
      ("attention.key_length", width / heads), ("attention.value_length", width / heads),
    ] { hyperparameters[name] = .integer(value) }
    let matrix = ModelShape.Tensor(
      name: "blk.0.ffn_up.weight", shape: .matrix(rows: parameters / 1000, columns: 1000), format: .f16)
    return ModelShape(family: "gpt", hyperparameters: hyperparameters, tensors: parameters > 0 ? [matrix] : [])
  }

  @Test(
    "ZeRO's own table: 7.5B parameters on 64 devices, GB",
    arguments: [
      (0, 120.0), (1, 31.4), (2, 16.6), (3, 1.9),
    ])
  func zero(stage: Int, gigabytes: Double) throws {
    var request = FootprintRequest(context: 1)
    request.training = TrainingRequest(zeroStage: stage, dataParallel: 64)
    let footprint = try Footprint(of: Self.gpt(layers: 1, width: 64, heads: 1, parameters: 7_500_000_000), for: request)
    let states = Double(footprint.weightsBytes + footprint.gradientBytes + footprint.optimizerBytes) / 1e9
    #expect(abs(states - gigabytes) < 0.06)
  }

  @Test(
    "activations of Korthikanti et al., GiB over all layers, 8 tensor-parallel devices",
    arguments: [
      // layers, width, heads, batch; none, TP, TP+SP, TP+selective, TP+SP+selective, full
      (48, 6144, 64, 4, [316.5, 59.2, 39.6, 29.2, 9.6, 4.5]), (96, 12288, 96, 1, [256.5, 51.8, 32.1, 29.2, 9.6, 4.5]),
      (105, 20480, 128, 1, [402.0, 86.1, 50.2, 53.3, 17.4, 8.2]),
      (128, 25600, 160, 1, [612.5, 131.2, 76.6, 81.2, 26.6, 12.5]),
    ])
  func activations(layers: Int, width: Int, heads: Int, batch: Int, gibibytes: [Double]) throws {
    let model = Self.gpt(layers: layers, width: width, heads: heads)
    let cases: [(Int, Bool, TrainingRequest.Recomputation)] = [
      (1, false, .none), (8, false, .none), (8, true, .none), (8, false, .selective), (8, true, .selective),
      (1, false, .full),
    ]
    for ((parallel, sequenceParallel, recomputation), published) in zip(cases, gibibytes) {
      var request = FootprintRequest(context: 2048, batch: batch)
      request.training = TrainingRequest(
        recomputation: recomputation, tensorParallel: parallel, sequenceParallel: sequenceParallel)
      let footprint = try Footprint(of: model, for: request)
      let item = try #require(footprint.items.first { $0.name.hasPrefix("activations") })
      #expect(
        abs(Double(item.bytes) / 1_073_741_824 / published - 1) < 0.01,
        "\(recomputation) on \(parallel): \(item.formula)")
    }
  }

  @Test("the first of p pipeline stages keeps p micro-batches: as much as one device with every layer")
  func pipeline() throws {
    let model = Self.gpt(layers: 48, width: 6144, heads: 64)
    let activations = { (stages: Int) throws -> Int in
      var request = FootprintRequest(context: 2048, batch: 4)
      request.training = TrainingRequest(tensorParallel: 8, sequenceParallel: true, pipelineParallel: stages)
      return try #require(try Footprint(of: model, for: request).items.first { $0.name.hasPrefix("activations") }).bytes
    }
    #expect(try activations(4) == activations(1))
  }

  @Test("activations in F32: all but the masks are twice as wide (16p + 2, 2p + 1)")
  func precision() throws {
    let model = Self.gpt(layers: 2, width: 1024, heads: 16)
    for (precision, perWidth, perScore) in [(TrainingRequest.Precision.mixed, 34, 5), (.f32, 66, 9)] {
      var request = FootprintRequest(context: 512, batch: 3)
      request.training = TrainingRequest(precision: precision)
      let item = try #require(try Footprint(of: model, for: request).items.first { $0.name.hasPrefix("activations") })
      #expect(item.bytes == 2 * 3 * 512 * (perWidth * 1024 + perScore * 16 * 512))
    }
  }

  @Test(
    "bytes per parameter",
    arguments: [
      (TrainingRequest.Optimizer.adam, TrainingRequest.Precision.mixed, 16.0), (.adam, .f32, 16), (.adam, .bf16, 8),
      (.sgd, .f32, 8), (.momentum, .f32, 12), (.adam8bit, .mixed, 10.004), (.sgd, .mixed, 8),
    ])
  func perParameter(optimizer: TrainingRequest.Optimizer, precision: TrainingRequest.Precision, bytes: Double) throws {
    let model = try shape(Configurations.llama2)
    var request = FootprintRequest(context: 128)
    request.training = TrainingRequest(optimizer: optimizer, precision: precision)
    let footprint = try Footprint(of: model, for: request)
    let states = Double(footprint.totalBytes - footprint.computeBytes)
    #expect(abs(states / Double(model.parameterCount) - bytes) < 0.01)
    #expect(footprint.gradientBytes > 0)
  }

  @Test("LoRA trains the adapters only; QLoRA's base is in 4 bits")
  func lowRank() throws {
    let model = try shape(Configurations.llama2)
    var request = FootprintRequest(context: 512)
    request.training = TrainingRequest(recomputation: .full, lowRank: .init(rank: 16, allMatrices: false))
    let attention = 32 * 4 * 16 * (4096 + 4096)
    let plain = try Footprint(of: model, for: request)
    #expect(plain.weightsBytes == model.parameterCount * 2 + attention * 2)
    #expect(plain.gradientBytes == attention * 2)
    #expect(plain.optimizerBytes == attention * 12)
    let quantized = try Footprint(of: model.encoded(as: .nf4), for: request)
    #expect(quantized.weightsBytes < plain.weightsBytes / 3)
  }

  @Test(
    "impossible divisions are refused",
    arguments: [
      TrainingRequest(zeroStage: 4), TrainingRequest(dataParallel: 0), TrainingRequest(tensorParallel: -1),
      TrainingRequest(lowRank: .init(rank: 0)),
    ])
  func refused(training: TrainingRequest) throws {
    var request = FootprintRequest(context: 512)
    request.training = training
    let model = try shape(Configurations.smolLM2)
    #expect(throws: FootprintError.self) { try Footprint(of: model, for: request) }
  }
}
