import Footprint
import IR
import Testing

@Suite struct DeviceTests {
  static let catalog = try? DeviceCatalog()

  @Test("every row has what a fit needs, and no name twice")
  func rows() throws {
    let devices = try DeviceCatalog().devices
    #expect(devices.count >= 140)
    #expect(Set(devices.map(\.name)).count == devices.count)
    for device in devices {
      #expect(device.bandwidthBytesPerSecond != nil, "\(device.name)")
      #expect(device.isHost || (device.usableBytes ?? 0) > 0, "\(device.name)")
      #expect((device.usableBytes ?? 0) <= (device.memoryBytes ?? 0), "\(device.name)")
      #expect(!device.source.isEmpty, "\(device.name)")
    }
  }

  @Test(
    "names as people write them",
    arguments: [
      ("RTX 3060", "RTX 3060 12GB"), ("rtx3060", "RTX 3060 12GB"), ("GeForce RTX 3060 8GB", "RTX 3060 8GB"),
      ("NVIDIA GeForce RTX 4090", "RTX 4090"), ("4090", "RTX 4090"), ("4090d", "RTX 4090 D"),
      ("rtx-3060-ti", "RTX 3060 Ti"),
      ("a100", "A100 40GB"), ("A100-80g", "A100 80GB PCIe"), ("A100 SXM", "A100 80GB SXM"), ("h100", "H100 PCIe"),
      ("T4", "Tesla T4"), ("M2 Ultra", "Apple M2 Ultra"), ("apple m1", "Apple M1"), ("mi300x", "Instinct MI300X"),
      ("orin nano", "Jetson Orin Nano 8GB"), ("1060", "GTX 1060 6GB"), ("RX 7900 XTX", "RX 7900 XTX"),
      ("7900xt", "RX 7900 XT"),
    ])
  func names(written: String, name: String) throws {
    #expect(try DeviceCatalog().device(named: written).name == name)
  }

  @Test("unknown names are refused with the nearest")
  func unknown() throws {
    let catalog = try DeviceCatalog()
    let error = #expect(throws: FootprintError.self) { try catalog.device(named: "RTX 4095") }
    guard case .unknownName(_, let known)? = error else {
      Issue.record("\(String(describing: error))")
      return
    }
    #expect(known.contains("RTX 4090"))
    #expect(throws: FootprintError.self) { try catalog.device(named: "") }
  }

  @Test(
    "llama-2-7b in llama.cpp: fits or not, and by how much",
    arguments: [
      ("RTX 3060", BlockFormat.q4_0, true), ("RTX 3060", .q8_0, true), ("RTX 3060", .f16, false),
      ("RTX 4090", .f16, true),
      ("RTX 4060", .q4_0, true), ("GTX 1650", .q4_0, false), ("A100", .f16, true),
    ])
  func fits(device: String, format: BlockFormat, fits: Bool) throws {
    let model = try shape(Configurations.llama2).formatted(as: pure(format))
    let planner = try FitPlanner(model, llamaCpp(context: 4096))
    let fit = try #require(try planner.fit(on: DeviceCatalog().device(named: device)))
    #expect(fit.fits == fits)
    #expect(fit.headroomBytes == fit.usableBytes - fit.footprint.totalBytes)
    #expect((fit.maxContext >= 4096) == fits)
    #expect((fit.maxBatch >= 1) == fits)
    #expect((fit.split == nil) == fits)
    #expect((fit.generation != nil) == fits)
    if let split = fit.split {
      #expect((1..<32).contains(split.layers) && split.offload.layersWithoutExperts == 0)
      #expect(split.deviceBytes <= fit.usableBytes && split.hostBytes > fit.footprint.totalBytes - fit.usableBytes)
    }
  }

  @Test("the largest context fits, and the next step does not")
  func largest() throws {
    let device = Device(name: "6 GB", usableBytes: 6_000_000_000)
    for format in [BlockFormat.q4_0, .q8_0] {
      let model = try shape(Configurations.llama3).formatted(as: pure(format))
      var request = try llamaCpp(context: 512)
      let fit = try #require(try FitPlanner(model, request).fit(on: device))
      guard fit.maxContext > 0 else { continue }
      request.context = fit.maxContext
      #expect(try Footprint(of: model, for: request).totalBytes <= 6_000_000_000)
      request.context = fit.maxContext + 256
      #expect(try Footprint(of: model, for: request).totalBytes > 6_000_000_000)
    }
  }

  @Test(
    "milliseconds a token of chatglm.cpp with ChatGLM2-6B, which the profile of llama.cpp takes its efficiencies from",
    arguments: [
      ("V100 SXM2 32GB", BlockFormat.f16, 18.5, 0.03), ("V100 SXM2 32GB", .q8_0, 11.7, 0.03),
      ("V100 SXM2 32GB", .q4_0, 7.9, 0.03), ("Xeon 6ch DDR4-2933", .f16, 189, 0.03),
      ("Xeon 6ch DDR4-2933", .q8_0, 106, 0.03), ("Xeon 6ch DDR4-2933", .q4_0, 64, 0.03),
      ("M2 Ultra", .f16, 22.2, 0.15), ("M2 Ultra", .q8_0, 14.5, 0.15), ("M2 Ultra", .q4_0, 10.0, 0.25),
    ])
  func decoding(device: String, format: BlockFormat, milliseconds: Double, tolerance: Double) throws {
    let model = PublishedFiguresTests.chatGLM2.formatted(as: pure(format))
    var target = try DeviceCatalog().device(named: device)
    if target.usableBytes == nil { target.usableBytes = 64_000_000_000 }
    let fit = try #require(try FitPlanner(model, llamaCpp(context: 256)).fit(on: target))
    let rate = try #require(fit.generation)
    let ours = 1000 / rate.tokensPerSecond
    #expect(abs(ours / milliseconds - 1) < tolerance, "\(ours) ms against \(milliseconds)")
    #expect(rate.bottleneck == .bandwidth)
  }

  @Test(
    "decoding rates of vLLM on an A100 in BF16, as share of the bandwidth",
    arguments: [
      // layers, width, heads, kvHeads, feedForward, vocabulary, tied, share
      (24, 896, 14, 2, 4864, 151_936, true, 0.15), (36, 2048, 16, 2, 11008, 151_936, true, 0.39),
      (28, 3584, 28, 4, 18944, 152_064, false, 0.63), (64, 5120, 40, 8, 27648, 152_064, false, 0.71),
    ])
  func decoding(
    layers: Int, width: Int, heads: Int, kvHeads: Int, feedForward: Int, vocabulary: Int, isTied: Bool, share: Double
  ) throws {
    let configuration = """
      {"model_type": "llama", "hidden_size": \(width), "num_hidden_layers": \(layers), "num_attention_heads": \(heads),
       "num_key_value_heads": \(kvHeads), "intermediate_size": \(feedForward), "vocab_size": \(vocabulary),
       "tie_word_embeddings": \(isTied)}
      """
    let model = try shape(configuration, .bf16)
    let device = try DeviceCatalog().device(named: "A100 80GB SXM")
    let planner = try FitPlanner(model, FootprintRequest(context: 256, profile: RuntimeProfile.named("vllm")))
    let rate = try #require(try planner.fit(on: device)?.generation).tokensPerSecond
    let ours = rate * Double(model.parameterCount * 2) / 2039e9
    #expect(abs(ours / share - 1) < 0.15, "\(ours) against \(share)")
  }
}
