import Bytes

/// What a config.json says about its quantization, where tensors alone do not tell.
struct QuantizationSettings: Sendable {
  private let object: JSONObject?

  init(_ configuration: JSONObject?) {
    object = (configuration?["quantization_config"] ?? configuration?["quantization"])?.object
  }

  /// GPTQ's second version stores zero points as they are, the first one less.
  var isGPTQVersion2: Bool { object?["checkpoint_format"]?.string == "gptq_v2" }

  var bits: Int? { object?["bits"]?.int }
  var groupSize: Int? { object?["group_size"]?.int }

  /// MLX's, with what is said for one path.
  func mlx(_ path: ByteString) -> (bits: Int?, groupSize: Int?) {
    let own = object?[path]?.object
    return (own?["bits"]?.int ?? bits, own?["group_size"]?.int ?? groupSize)
  }

  /// Bits of compressed-tensors' only group, or of the first one.
  var compressedBits: Int? {
    for (_, group) in object?["config_groups"]?.object?.members ?? [] {
      if let bits = group["weights"]?["num_bits"]?.int { return bits }
    }
    return nil
  }

  /// Rows and columns of a block that shares a scale.
  var blockSize: (rows: Int, columns: Int) {
    let sizes = object?["weight_block_size"]?.array?.compactMap(\.int) ?? []
    return sizes.count == 2 && sizes.allSatisfy { (1...1 << 20).contains($0) } ? (sizes[0], sizes[1]) : (128, 128)
  }
}
