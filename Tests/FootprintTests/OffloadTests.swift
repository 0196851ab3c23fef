import Catalog
import Footprint
import IR
import Testing

/// A model divided between a device and its host, as llama.cpp divides it.
@Suite struct OffloadTests {
  static func released(_ name: String, _ format: BlockFormat) throws -> ModelShape {
    ModelShape(try #require(try ReleasedModels(Catalog()).model(named: name))).formatted(as: pure(format))
  }

  @Test("device and host together hold every weight and the whole cache", arguments: ["llama-2-7b", "mixtral-8x7b"])
  func conserves(name: String) throws {
    let model = try Self.released(name, .q8_0)
    var request = try llamaCpp(context: 4096)
    let whole = try Footprint(of: model, for: request)
    for offload in [
      Offload(gpuLayers: 0), .init(gpuLayers: 1), .init(gpuLayers: 12), .init(gpuLayers: 33), .init(gpuLayers: 99),
      .init(gpuLayers: 99, layersWithoutExperts: 20), .init(gpuLayers: 12, layersWithoutExperts: 32),
    ] {
      request.offload = offload
      let part = try Footprint(of: model, for: request)
      let host = { (kind: FootprintItem.Part) in
        part.hostItems.reduce(0) { $1.part == kind ? $0 + $1.bytes : $0 }
      }
      #expect(part.weightsBytes + host(.weights) == whole.weightsBytes, "\(offload)")
      #expect(part.kvCacheBytes + host(.kvCache) == whole.kvCacheBytes, "\(offload)")
      #expect((part.weightsBytes == 0) == (offload.gpuLayers == 0))
    }
  }

  @Test("the head counts first, then layers from the last")
  func counting() throws {
    let model = try Self.released("llama-2-7b", .f16)
    var request = try llamaCpp(context: 512)
    let head = 32000 * 4096 * 2 + 4096 * 4
    let layer = (4 * 4096 * 4096 + 3 * 4096 * 11008) * 2 + 2 * 4096 * 4
    for (gpuLayers, bytes) in [(1, head), (2, head + layer), (5, head + 4 * layer), (33, head + 32 * layer)] {
      request.offload = Offload(gpuLayers: gpuLayers)
      #expect(try Footprint(of: model, for: request).weightsBytes == bytes)
    }
  }

  @Test(
    "the division fits, and one step more would not",
    arguments: [
      ("llama-2-7b", "GTX 1060"), ("mixtral-8x7b", "RTX 3060"), ("mixtral-8x7b", "GTX 1060"), ("deepseek-v3", "A100"),
    ])
  func largest(name: String, device: String) throws {
    let model = try Self.released(name, .q8_0)
    var request = try llamaCpp(context: 4096)
    let catalog = try DeviceCatalog()
    let target = try catalog.device(named: device)
    let host = try catalog.device(named: "CPU DDR5-5600")
    request.device = target
    let fit = try #require(try FitPlanner(model, request, host: host).fit(on: target))
    #expect(!fit.fits && fit.generation == nil)
    let split = try #require(fit.split)
    #expect(split.deviceBytes <= fit.usableBytes)
    // Slower than the device alone would be, faster than the host alone.
    let rate = try #require(split.generation?.tokensPerSecond)
    let away = Double(model.tensors.reduce(0) { $0 + ($1.byteCount ?? 0) })
    #expect(rate > (host.bandwidthBytesPerSecond ?? 0) * 0.4 / away)
    var more = split.offload
    if more.gpuLayers > split.layers, more.layersWithoutExperts > 0,
      split.layers == model.hyperparameters.integer("block_count")
    {
      more.layersWithoutExperts -= 1
    } else {
      more.gpuLayers += 1
    }
    request.offload = more
    #expect(try Footprint(of: model, for: request).totalBytes > fit.usableBytes)
  }

  @Test("other runtimes cannot divide; negative counts are refused")
  func refused() throws {
    let model = try shape(Configurations.smolLM2)
    var request = FootprintRequest(context: 512)
    request.offload = Offload(gpuLayers: 4)
    #expect(throws: FootprintError.self) { try Footprint(of: model, for: request) }
    request = try llamaCpp(context: 512)
    for offload in [Offload(gpuLayers: -1), Offload(gpuLayers: 4, layersWithoutExperts: -1)] {
      request.offload = offload
      #expect(throws: FootprintError.self) { try Footprint(of: model, for: request) }
    }
  }
}
