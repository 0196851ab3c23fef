public import Bytes
public import IR
public import Kernels

/// How GPU libraries keep a quantized matrix: several plain tensors in its place, and an entry in config.json.
///
/// A matrix is [out, in]; `NAME` is the layer's path, without `.weight`.
///
///     gptq    NAME.qweight I32 [in / 8, out]: eight inputs to a word, the first lowest; NAME.qzeros I32 [groups, out / 8];
///             NAME.scales F16 [groups, out]; NAME.g_idx I32 [in]                      w = (q − z − 1) · scale
///     awq     NAME.qweight I32 [in, out / 8]: columns 0 2 4 6 1 3 5 7 of eight in a word; NAME.qzeros I32 [groups, out / 8]
///             likewise; NAME.scales F16 [groups, out]                                 w = (q − z) · scale
///     w8a8    NAME.weight I8 [out, in]; NAME.weight_scale [out, 1] in the source's type   w = q · scale
///     nf4     NAME.weight U8 [out · in / 2, 1], the first element high; NAME.weight.absmax F32 [out · in / 64];
///             NAME.weight.quant_map F32 [16]; NAME.weight.quant_state.bitsandbytes__nf4: JSON
public struct PackingScheme: Hashable, Sendable {
  public enum Method: String, Sendable {
    /// AutoGPTQ's and GPTQModel's version 1, symmetric.
    case gptq
    /// AutoAWQ's GEMM layout, with zero points.
    case awq
    /// compressed-tensors' `int-quantized`: int8 weights per channel, int8 activations per token.
    case w8a8
    /// bitsandbytes' four-bit normal floats.
    case nf4
  }

  public let method: Method
  /// Columns that share a scale; 0 for a whole row. What a recipe asks for: rows may want less, see `fitted`.
  public let groupSize: Int

  public init(method: Method, groupSize: Int) {
    self.method = method
    self.groupSize = groupSize
  }

  /// Whether a matrix of this shape can be kept so.
  public func fits(_ shape: Shape) -> Bool {
    guard shape.dimensions.count == 2, shape.elementCount > 0 else { return false }
    return switch method {
    case .gptq, .awq: shape.columns % groupSize == 0 && shape.columns % 8 == 0 && shape.rows % 8 == 0
    case .w8a8: true
    case .nf4: shape.elementCount % 64 == 0
    }
  }

  /// The same with the largest of the usual groups, up to its own, that divides all rows: kernels want whole groups.
  public func fitted(to shapes: [Shape]) -> PackingScheme {
    guard method == .gptq || method == .awq else { return self }
    let size = [128, 64, 32].first { size in size <= groupSize && shapes.allSatisfy { $0.columns % size == 0 } }
    return PackingScheme(method: method, groupSize: size ?? groupSize)
  }

  /// The grid of a matrix for error feedback; nil for methods and shapes that have none.
  public func grid(for shape: Shape, scaleFormat: BlockFormat) -> GroupGrid? {
    let groupColumns = method == .w8a8 ? shape.columns : groupSize
    guard groupColumns > 0, groupColumns % 32 == 0, shape.columns % groupColumns == 0 else { return nil }
    return switch method {
    case .gptq: GroupGrid(groupColumns: groupColumns, codes: -8...7, hasZero: false, scales: .f16)
    case .awq: GroupGrid(groupColumns: groupColumns, codes: 0...15, hasZero: true, scales: .f16)
    case .w8a8:
      GroupGrid(
        groupColumns: groupColumns, codes: -128...127, hasZero: false,
        scales: scaleFormat == .f16 ? .f16 : scaleFormat == .bf16 ? .bf16 : .f32)
    case .nf4: nil
    }
  }

  /// What scales of a matrix are stored as, where the scheme leaves that to the model.
  public static func scaleFormat(for format: BlockFormat) -> BlockFormat {
    [.f16, .bf16].contains(format) ? format : .f32
  }

  /// Bytes of all parts of a matrix.
  public func byteCount(of shape: Shape, scaleFormat: BlockFormat) -> Int {
    parts(of: shape, scaleFormat: scaleFormat).reduce(0) { $0 + $1.shape.elementCount * $1.format.bytesPerBlock }
  }

  /// For people: `gptq int4, groups of 128`.
  public var label: String {
    switch method {
    case .gptq, .awq: "\(method.rawValue) int4, groups of \(groupSize)"
    case .w8a8: "compressed-tensors int8 per channel"
    case .nf4: "bitsandbytes nf4, blocks of 64"
    }
  }

  /// What the parts of a matrix are, in the order in which they are written.
  func parts(of shape: Shape, scaleFormat: BlockFormat) -> [(suffix: String, shape: Shape, format: BlockFormat)] {
    let (outputs, inputs) = (shape.rows, shape.columns)
    switch method {
    case .gptq:
      return [
        (".g_idx", .vector(inputs), .i32), (".qweight", .matrix(rows: inputs / 8, columns: outputs), .i32),
        (".qzeros", .matrix(rows: inputs / groupSize, columns: outputs / 8), .i32),
        (".scales", .matrix(rows: inputs / groupSize, columns: outputs), .f16),
      ]
    case .awq:
      return [
        (".qweight", .matrix(rows: inputs, columns: outputs / 8), .i32),
        (".qzeros", .matrix(rows: inputs / groupSize, columns: outputs / 8), .i32),
        (".scales", .matrix(rows: inputs / groupSize, columns: outputs), .f16),
      ]
    case .w8a8:
      return [
        (".weight", .matrix(rows: outputs, columns: inputs), .i8),
        (".weight_scale", .matrix(rows: outputs, columns: 1), scaleFormat),
      ]
    case .nf4:
      return [
        (".weight", .matrix(rows: shape.elementCount / 2, columns: 1), .u8),
        (".weight.absmax", .vector(shape.elementCount / 64), .f32), (".weight.quant_map", .vector(16), .f32),
        (".weight.quant_state.bitsandbytes__nf4", .vector(state(of: shape, scaleFormat).count), .u8),
      ]
    }
  }

  /// bitsandbytes' own description of a matrix.
  func state(of shape: Shape, _ format: BlockFormat) -> [UInt8] {
    let dtype = format == .bf16 ? "bfloat16" : format == .f32 ? "float32" : "float16"
    let state: JSONObject = [
      "quant_type": .text("nf4"), "blocksize": .integer(64), "dtype": .text(dtype),
      "shape": .array(shape.dimensions.map { .integer($0) }),
    ]
    return JSONValue.object(state).serialized()
  }

  /// `quantization_config` of config.json.
  /// - Parameter ignored: paths of layers that stay floats.
  public func configuration(ignoring ignored: [String]) -> JSONObject {
    // Loaders leave the head alone by themselves; routers and the like they must be told.
    let skipped: JSONValue = ignored == ["lm_head"] ? .null : .array(ignored.map { .text($0) })
    switch method {
    case .gptq:
      return [
        "quant_method": .text("gptq"), "bits": .integer(4), "group_size": .integer(groupSize), "desc_act": .bool(false),
        "sym": .bool(true), "lm_head": .bool(false), "damp_percent": .number(JSONNumber(literal: "0.01")),
        "static_groups": .bool(false), "true_sequential": .bool(true), "checkpoint_format": .text("gptq"),
        "meta": .object(["quantizer": .array([.text("quern")])]),
      ]
    case .awq:
      return [
        "quant_method": .text("awq"), "bits": .integer(4), "group_size": .integer(groupSize), "zero_point": .bool(true),
        "version": .text("gemm"), "modules_to_not_convert": skipped,
      ]
    case .w8a8:
      func values(_ strategy: String, dynamic: Bool) -> JSONValue {
        .object([
          "num_bits": .integer(8), "type": .text("int"), "symmetric": .bool(true), "strategy": .text(strategy),
          "dynamic": .bool(dynamic), "group_size": .null, "block_structure": .null, "actorder": .null,
          "observer": dynamic ? .null : .text("minmax"), "observer_kwargs": .object([:]),
        ])
      }
      return [
        "quant_method": .text("compressed-tensors"), "format": .text("int-quantized"),
        "quantization_status": .text("compressed"),
        "config_groups": .object([
          "group_0": .object([
            "targets": .array([.text("Linear")]), "weights": values("channel", dynamic: false),
            "input_activations": values("token", dynamic: true), "output_activations": .null,
          ])
        ]),
        "ignore": .array(ignored.map { .text($0) }), "kv_cache_scheme": .null,
      ]
    case .nf4:
      return [
        "quant_method": .text("bitsandbytes"), "load_in_4bit": .bool(true), "load_in_8bit": .bool(false),
        "bnb_4bit_quant_type": .text("nf4"), "bnb_4bit_compute_dtype": .text("float16"),
        "bnb_4bit_quant_storage": .text("uint8"),
        "bnb_4bit_use_double_quant": .bool(false), "llm_int8_enable_fp32_cpu_offload": .bool(false),
        "llm_int8_has_fp16_weight": .bool(false), "llm_int8_skip_modules": skipped,
        "llm_int8_threshold": .number(JSONNumber(6.0)),
      ]
    }
  }
}
