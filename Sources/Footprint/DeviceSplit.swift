internal import IR

/// A model too large for a device, divided between it and its host as llama.cpp divides it.
///
/// A mixture of experts first leaves experts with the host (`--n-cpu-moe`): they are most of the bytes and few of the
/// reads. Otherwise, or when that is not enough, whole layers stay there with their cache (`--n-gpu-layers`).
public struct DeviceSplit: Hashable, Sendable {
  /// Layers on the device, from the last one on; their cache is there too.
  public let layers: Int
  /// Of those, the first ones' experts stay with the host.
  public let layersWithoutExperts: Int
  public let deviceBytes: Int
  /// Weights and cache that stay with the host, the embedding included.
  public let hostBytes: Int

  /// Nil when not even one layer fits beside the buffers.
  init?(_ model: ModelShape, _ footprint: Footprint, usableBytes: Int) {
    guard let count = model.hyperparameters.integer("block_count"), (1...10_000).contains(count) else { return nil }
    var layerBytes = Array(repeating: 0, count: count)
    var expertBytes = layerBytes
    for tensor in model.tensors {
      guard let layer = Self.layer(of: tensor.name.text), layer < count, let bytes = tensor.byteCount else { continue }
      layerBytes[layer] += bytes
      if tensor.name.text.contains("_exps.") { expertBytes[layer] += bytes }
    }
    let cachePerLayer = footprint.kvCacheBytes / count
    let total = footprint.totalBytes
    let always = footprint.hostBytes
    // Experts of the first layers, until the rest fits.
    var left = 0
    for layer in 0..<count {
      left += expertBytes[layer]
      guard expertBytes[layer] > 0, total - left <= usableBytes else { continue }
      self.init(
        layers: count, layersWithoutExperts: layer + 1, deviceBytes: total - left, hostBytes: always + left)
      return
    }
    // All experts, if there are any, and the first layers until the rest fits.
    let withoutExperts = expertBytes.contains { $0 > 0 }
    for layer in 0..<count {
      left += layerBytes[layer] - expertBytes[layer] + cachePerLayer
      guard total - left <= usableBytes, layer + 1 < count else { continue }
      self.init(
        layers: count - layer - 1, layersWithoutExperts: withoutExperts ? count - layer - 1 : 0,
        deviceBytes: total - left, hostBytes: always + left)
      return
    }
    return nil
  }

  private init(layers: Int, layersWithoutExperts: Int, deviceBytes: Int, hostBytes: Int) {
    self.layers = layers
    self.layersWithoutExperts = layersWithoutExperts
    self.deviceBytes = deviceBytes
    self.hostBytes = hostBytes
  }

  /// 3 of `blk.3.attn_q.weight`.
  private static func layer(of name: String) -> Int? {
    guard name.hasPrefix("blk.") else { return nil }
    return Int(name.dropFirst(4).prefix { $0 != "." })
  }
}
