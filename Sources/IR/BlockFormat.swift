/// How the elements of a tensor lie in bytes: one row per type, for plain numbers (a block of one) and packed blocks.
///
/// This table is the only list of types in the program. Adding one is a row here and, if it can be computed with, a
/// codec. Identifiers and sizes are ggml's (`ggml.h`); the `safetensors` names are that format's own.
public struct BlockFormat: Hashable, Sendable {
  public enum Kind: Hashable, Sendable {
    case float
    case integer
    /// Several elements share a scale: readable only through a codec.
    case packed
  }

  /// Upper case as llama.cpp prints it: `Q4_0`.
  public let name: String
  public let kind: Kind
  public let elementsPerBlock: Int
  public let bytesPerBlock: Int
  /// `enum ggml_type`, where GGUF can hold it.
  public let ggmlType: UInt32?
  /// The `dtype` of a safetensors header, where that can hold it.
  public let safetensorsName: String?

  public var bitsPerElement: Double { Double(bytesPerBlock * 8) / Double(elementsPerBlock) }

  /// Bytes of `elementCount` elements, or nil if they do not fill whole blocks or the product overflows.
  public func byteCount(elements elementCount: Int) -> Int? {
    guard elementCount >= 0, elementCount % elementsPerBlock == 0 else { return nil }
    let (bytes, overflow) = (elementCount / elementsPerBlock).multipliedReportingOverflow(by: bytesPerBlock)
    return overflow ? nil : bytes
  }

  public static func == (a: Self, b: Self) -> Bool { a.name == b.name }
  public func hash(into hasher: inout Hasher) { hasher.combine(name) }
}

extension BlockFormat {
  private init(
    _ name: String, _ kind: Kind, _ elements: Int, _ bytes: Int, ggml: UInt32? = nil, safetensors: String? = nil
  ) {
    self.init(
      name: name, kind: kind, elementsPerBlock: elements, bytesPerBlock: bytes, ggmlType: ggml,
      safetensorsName: safetensors)
  }

  public static let f32 = BlockFormat("F32", .float, 1, 4, ggml: 0, safetensors: "F32")
  public static let f16 = BlockFormat("F16", .float, 1, 2, ggml: 1, safetensors: "F16")
  public static let bf16 = BlockFormat("BF16", .float, 1, 2, ggml: 30, safetensors: "BF16")
  public static let f64 = BlockFormat("F64", .float, 1, 8, ggml: 28, safetensors: "F64")
  public static let f8e4m3 = BlockFormat("F8_E4M3", .float, 1, 1, safetensors: "F8_E4M3")
  public static let f8e5m2 = BlockFormat("F8_E5M2", .float, 1, 1, safetensors: "F8_E5M2")

  public static let i8 = BlockFormat("I8", .integer, 1, 1, ggml: 24, safetensors: "I8")
  public static let i16 = BlockFormat("I16", .integer, 1, 2, ggml: 25, safetensors: "I16")
  public static let i32 = BlockFormat("I32", .integer, 1, 4, ggml: 26, safetensors: "I32")
  public static let i64 = BlockFormat("I64", .integer, 1, 8, ggml: 27, safetensors: "I64")
  public static let u8 = BlockFormat("U8", .integer, 1, 1, safetensors: "U8")
  public static let u16 = BlockFormat("U16", .integer, 1, 2, safetensors: "U16")
  public static let u32 = BlockFormat("U32", .integer, 1, 4, safetensors: "U32")
  public static let u64 = BlockFormat("U64", .integer, 1, 8, safetensors: "U64")
  public static let bool = BlockFormat("BOOL", .integer, 1, 1, safetensors: "BOOL")

  public static let q4_0 = BlockFormat("Q4_0", .packed, 32, 18, ggml: 2)
  public static let q4_1 = BlockFormat("Q4_1", .packed, 32, 20, ggml: 3)
  public static let q5_0 = BlockFormat("Q5_0", .packed, 32, 22, ggml: 6)
  public static let q5_1 = BlockFormat("Q5_1", .packed, 32, 24, ggml: 7)
  public static let q8_0 = BlockFormat("Q8_0", .packed, 32, 34, ggml: 8)
  public static let q8_1 = BlockFormat("Q8_1", .packed, 32, 36, ggml: 9)
  public static let q2_K = BlockFormat("Q2_K", .packed, 256, 84, ggml: 10)
  public static let q3_K = BlockFormat("Q3_K", .packed, 256, 110, ggml: 11)
  public static let q4_K = BlockFormat("Q4_K", .packed, 256, 144, ggml: 12)
  public static let q5_K = BlockFormat("Q5_K", .packed, 256, 176, ggml: 13)
  public static let q6_K = BlockFormat("Q6_K", .packed, 256, 210, ggml: 14)
  public static let q8_K = BlockFormat("Q8_K", .packed, 256, 292, ggml: 15)
  public static let iq2_XXS = BlockFormat("IQ2_XXS", .packed, 256, 66, ggml: 16)
  public static let iq2_XS = BlockFormat("IQ2_XS", .packed, 256, 74, ggml: 17)
  public static let iq3_XXS = BlockFormat("IQ3_XXS", .packed, 256, 98, ggml: 18)
  public static let iq1_S = BlockFormat("IQ1_S", .packed, 256, 50, ggml: 19)
  public static let iq4_NL = BlockFormat("IQ4_NL", .packed, 32, 18, ggml: 20)
  public static let iq3_S = BlockFormat("IQ3_S", .packed, 256, 110, ggml: 21)
  public static let iq2_S = BlockFormat("IQ2_S", .packed, 256, 82, ggml: 22)
  public static let iq4_XS = BlockFormat("IQ4_XS", .packed, 256, 136, ggml: 23)
  public static let iq1_M = BlockFormat("IQ1_M", .packed, 256, 56, ggml: 29)
  public static let tq1_0 = BlockFormat("TQ1_0", .packed, 256, 54, ggml: 34)
  public static let tq2_0 = BlockFormat("TQ2_0", .packed, 256, 66, ggml: 35)
  public static let mxfp4 = BlockFormat("MXFP4", .packed, 32, 17, ggml: 39)
  public static let nvfp4 = BlockFormat("NVFP4", .packed, 64, 36, ggml: 40)
  public static let q1_0 = BlockFormat("Q1_0", .packed, 128, 18, ggml: 41)
  public static let q2_0 = BlockFormat("Q2_0", .packed, 64, 18, ggml: 42)

  public static let all: [BlockFormat] = [
    .f32, .f16, .bf16, .f64, .f8e4m3, .f8e5m2, .i8, .i16, .i32, .i64, .u8, .u16, .u32, .u64, .bool,
    .q4_0, .q4_1, .q5_0, .q5_1, .q8_0, .q8_1, .q2_K, .q3_K, .q4_K, .q5_K, .q6_K, .q8_K,
    .iq2_XXS, .iq2_XS, .iq3_XXS, .iq1_S, .iq4_NL, .iq3_S, .iq2_S, .iq4_XS, .iq1_M, .tq1_0, .tq2_0,
    .mxfp4, .nvfp4, .q1_0, .q2_0,
  ]

  private static let byGgmlType = Dictionary(
    uniqueKeysWithValues: all.compactMap { row in row.ggmlType.map { ($0, row) } })
  private static let bySafetensorsName = Dictionary(
    uniqueKeysWithValues: all.compactMap { row in row.safetensorsName.map { ($0, row) } })

  public static func ggml(_ type: UInt32) -> BlockFormat? { byGgmlType[type] }
  public static func safetensors(_ name: String) -> BlockFormat? { bySafetensorsName[name] }
  /// By name, forgiving case: `q4_0`, `Q4_K`, `bf16`.
  public static func named(_ name: String) -> BlockFormat? {
    let wanted = name.uppercased()
    return all.first { $0.name.uppercased() == wanted }
  }
}
