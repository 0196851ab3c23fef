/// How llama.cpp divides a model between a device and its host.
public struct Offload: Hashable, Sendable {
  /// `--n-gpu-layers`: the head counts first, then layers from the last one on; one more than there are layers, or any larger number, is all.
  public var gpuLayers: Int
  /// `--n-cpu-moe`: of so many first layers the experts stay with the host.
  public var layersWithoutExperts: Int

  public init(gpuLayers: Int, layersWithoutExperts: Int = 0) {
    self.gpuLayers = gpuLayers
    self.layersWithoutExperts = layersWithoutExperts
  }

  /// The first layer on the device.
  func firstLayer(of count: Int) -> Int { gpuLayers > count ? 0 : count + 1 - gpuLayers }

  /// More than there are means all, as in llama.cpp.
  func checked(layers count: Int) throws(FootprintError) {
    guard gpuLayers >= 0 else {
      throw .unsupported(what: "\(gpuLayers) layers on the device", known: ["0 to \(count + 1) (with the head)"])
    }
    guard layersWithoutExperts >= 0 else {
      throw .unsupported(what: "leaving the experts of \(layersWithoutExperts) layers", known: ["0 to \(count)"])
    }
  }
}
