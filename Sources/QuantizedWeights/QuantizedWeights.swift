public import Bytes
public import IR

/// Finds the weights that GPU libraries store quantized in a checkpoint's plain tensors, and shows each as the one float
/// tensor that it stands for, decoded when it is read.
///
///     before  q_proj.qweight [512, 4096] I32, q_proj.qzeros [32, 512] I32, q_proj.scales [32, 4096] F16, q_proj.g_idx
///     after   q_proj.weight  [4096, 4096] F32   decoded(…)
///
/// What a group of tensors is, their names, types and shapes say; the configuration settles what those leave open.
public struct QuantizedWeights: Sendable {
  public let tensors: [TensorRef]
  /// `GPTQ int4, groups of 128: 210 matrices decoded`.
  public let notes: [String]
  /// What the decoded tensors take as they are stored, by their names.
  public let stored: [ByteString: Stored]

  /// One matrix as a library stores it: codes, scales, zero points and indices.
  public struct Stored: Hashable, Sendable {
    /// `GPTQ int4, groups of 128`.
    public let kind: String
    public let byteCount: Int
    /// Of the codes alone.
    public let codeByteCount: Int
    public let elementCount: Int
  }

  /// Whether anything was decoded: then the configuration's `quantization_config` no longer holds.
  public var isEmpty: Bool { notes.isEmpty }

  public init(
    _ tensors: [TensorRef], configuration: JSONObject?, at place: ContainerError.Place
  ) throws(ContainerError) {
    let settings = QuantizationSettings(configuration)
    let index = Dictionary(tensors.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
    var consumed: Set<ByteString> = []
    var decoded: [ByteString: TensorRef] = [:]
    var counts: [(kind: String, count: Int)] = []
    var stored: [ByteString: Stored] = [:]
    let cache = PanelCache()
    for tensor in tensors {
      guard let match = Self.finders.lazy.compactMap({ $0(tensor, index) }).first else { continue }
      let group = QuantizedGroup(match, tensors: index, settings: settings, place: place, cache: cache)
      let result = try group.decoded()
      consumed.formUnion(result.consumed)
      decoded[tensor.name] = result.tensor
      stored[result.tensor.name] = Stored(
        kind: result.kind, byteCount: Set(result.consumed).reduce(0) { $0 + (index[$1]?.byteCount ?? 0) },
        codeByteCount: tensor.byteCount, elementCount: result.tensor.shape.elementCount)
      if let position = counts.firstIndex(where: { $0.kind == result.kind }) {
        counts[position].count += 1
      } else {
        counts.append((result.kind, 1))
      }
    }
    self.stored = stored
    self.tensors = tensors.compactMap { tensor in
      decoded[tensor.name] ?? (consumed.contains(tensor.name) ? nil : tensor)
    }
    notes = counts.map { "\($0.kind): \($0.count) \($0.count == 1 ? "tensor" : "tensors") decoded" }
  }

  /// Each tells whether a tensor is the main one of a scheme's group, by what stands beside it.
  private static let finders: [@Sendable (TensorRef, [ByteString: TensorRef]) -> QuantizedMatch?] = [
    { tensor, all in
      guard let path = tensor.name.removing(suffix: ".qweight"), tensor.format == .i32,
        let scales = all[path + ".scales"], scales.shape.dimensions.count == 2, tensor.shape.dimensions.count == 2
      else { return nil }
      return QuantizedMatch(
        scheme: tensor.shape.columns == scales.shape.columns ? .gptq : .awq, path: path, main: tensor)
    },
    { tensor, all in
      guard let path = tensor.name.removing(suffix: ".weight_packed"), all[path + ".weight_scale"] != nil else {
        return nil
      }
      if tensor.format == .i32 { return QuantizedMatch(scheme: .compressedTensors, path: path, main: tensor) }
      guard tensor.format == .u8 else { return nil }
      let isNV = all[path + ".weight_global_scale"] != nil
      return QuantizedMatch(scheme: isNV ? .nvfp4 : .mxfp4, path: path, main: tensor)
    },
    { tensor, all in
      guard let path = tensor.name.removing(suffix: ".weight") else { return nil }
      if tensor.format == .u8, all[path + ".weight.absmax"] != nil, all[path + ".weight.quant_map"] != nil {
        return QuantizedMatch(scheme: .bitsAndBytes4, path: path, main: tensor)
      }
      if tensor.format == .i8, all[path + ".SCB"] != nil {
        return QuantizedMatch(scheme: .bitsAndBytes8, path: path, main: tensor)
      }
      if tensor.format == .u32, all[path + ".scales"] != nil, all[path + ".biases"] != nil {
        return QuantizedMatch(scheme: .mlx, path: path, main: tensor)
      }
      if tensor.format == .u32, let scales = all[path + ".scales"], scales.format == .u8 {
        return QuantizedMatch(scheme: .mlxFloat, path: path, main: tensor)
      }
      if tensor.format == .f8e4m3 || tensor.format == .i8 {
        if all[path + ".weight_scale_inv"] != nil {
          return QuantizedMatch(scheme: .blockFloat8, path: path, main: tensor)
        }
        if all[path + ".weight_scale"] != nil {
          return QuantizedMatch(scheme: .scaledRows, path: path, main: tensor)
        }
      }
      return nil
    },
    { tensor, all in
      guard let path = tensor.name.removing(suffix: ".W_q"), all[path + ".scale"] != nil, all[path + ".zero"] != nil
      else { return nil }
      return QuantizedMatch(scheme: .hqq, path: path, main: tensor)
    },
    { tensor, all in
      guard let path = tensor.name.removing(suffix: "_blocks"), tensor.format == .u8,
        let scales = all[path + "_scales"], scales.format == .u8, tensor.shape.dimensions.last == 16,
        Array(tensor.shape.dimensions.dropLast()) == scales.shape.dimensions
      else { return nil }
      return QuantizedMatch(scheme: .mxfp4Blocks, path: path, main: tensor)
    },
  ]
}

/// A group that was found: the scheme, the layer's path and the tensor that holds the bits.
struct QuantizedMatch: Sendable {
  enum Scheme: Sendable {
    case gptq, awq, compressedTensors, nvfp4, mxfp4, bitsAndBytes4, bitsAndBytes8, mlx, blockFloat8, scaledRows, hqq
    case mxfp4Blocks, mlxFloat
  }
  let scheme: Scheme
  let path: ByteString
  let main: TensorRef
}

extension ByteString {
  static func + (a: Self, b: String) -> Self { ByteString(bytes: a.bytes + Array(b.utf8)) }

  func removing(suffix: String) -> ByteString? {
    let suffix = ByteString(suffix)
    return hasSuffix(suffix) && count > suffix.count ? ByteString(bytes: Array(bytes.dropLast(suffix.count))) : nil
  }
}
