/// A model too large for a device, divided between it and its host as llama.cpp divides it.
///
/// A mixture of experts first leaves experts with the host (`--n-cpu-moe`): they are most of the bytes and few of the
/// reads. Otherwise, or when that is not enough, whole layers stay there with their cache (`--n-gpu-layers`).
public struct DeviceSplit: Sendable {
  public let offload: Offload
  /// Of the divided model: what is on the device, and what stays with the host.
  public let footprint: Footprint
  /// Layers on the device, from the last one on; their cache is there too.
  public let layers: Int
  /// While generating; the host's part at the rate of the host that was named.
  public let generation: DeviceFit.Rate?

  public var deviceBytes: Int { footprint.totalBytes }
  /// Weights, cache and buffers that stay with the host, the embedding included.
  public var hostBytes: Int { footprint.hostBytes }

  /// The division that leaves most on the device; nil when not even one layer fits beside the buffers.
  /// - Parameter needs: the footprint under a division. What is on the device falls as less is put there.
  static func most(
    of model: ModelShape, within usableBytes: Int, _ needs: (Offload) throws(FootprintError) -> Footprint
  ) throws(FootprintError) -> (Offload, Footprint)? {
    guard let count = model.hyperparameters.integer("block_count"), (1...10_000).contains(count) else { return nil }
    let hasExperts = model.tensors.contains(where: \.isExperts)
    // Ordered from the most on the device to the least.
    let experts = hasExperts ? (1...count).map { Offload(gpuLayers: count + 1, layersWithoutExperts: $0) } : []
    let layers = (1..<count).map {
      Offload(gpuLayers: count + 1 - $0, layersWithoutExperts: hasExperts ? count : 0)
    }
    let choices = experts + layers
    var low = 0
    var high = choices.count
    while low < high {
      let middle = (low + high) / 2
      if try needs(choices[middle]).totalBytes <= usableBytes { high = middle } else { low = middle + 1 }
    }
    guard low < choices.count else { return nil }
    return (choices[low], try needs(choices[low]))
  }
}
