internal import CKernels
public import IR
public import Kernels

/// The decoder and, where there is one, the encoder of a block format, on one instruction set's kernels.
///
/// Every instruction set gives the same bytes and the same floats (only a NaN that arithmetic makes from a damaged
/// block's NaN or infinity may differ in payload). `ReferenceCodec` is the slow twin that defines the answer.
@safe
public struct Codec: @unchecked Sendable {
  public let format: BlockFormat
  let kernels: Kernels
  /// Sendable: pointers to functions without state, in a table that lives as long as the program.
  private let row: UnsafePointer<quern_codec>

  /// The codec of `format`, or nil if the format cannot be read as floats.
  public static func `for`(_ format: BlockFormat, kernels: Kernels) -> Codec? { Codec(format, kernels: kernels) }

  private init?(_ format: BlockFormat, kernels: Kernels) {
    guard let type = Self.tableRow(of: format),
      let row = unsafe quern_codec_find(kernels.table.pointee.codecs, type)
    else { return nil }
    unsafe precondition(
      Int(row.pointee.elements_per_block) == format.elementsPerBlock
        && Int(row.pointee.bytes_per_block) == format.bytesPerBlock, "\(format.name): tables disagree about the block")
    self.format = format
    self.kernels = kernels
    unsafe self.row = row
  }

  private static func tableRow(of format: BlockFormat) -> UInt32? {
    if let type = format.ggmlType { return type }
    let others: [(BlockFormat, Int)] = [
      (.f8e4m3, QUERN_TYPE_F8_E4M3), (.f8e5m2, QUERN_TYPE_F8_E5M2), (.u8, QUERN_TYPE_U8), (.u16, QUERN_TYPE_U16),
      (.u32, QUERN_TYPE_U32), (.u64, QUERN_TYPE_U64), (.bool, QUERN_TYPE_BOOL),
    ]
    return others.first { $0.0 == format }.map { UInt32($0.1) }
  }

  /// False for formats that are only read.
  public var canEncode: Bool { unsafe row.pointee.encode != nil }

  /// The decoder itself, for kernels that expand blocks while they multiply.
  public var decodeFunction: @convention(c) (UnsafePointer<UInt8>?, UnsafeMutablePointer<Float>?, Int) -> Void {
    guard let decode = unsafe row.pointee.decode else { preconditionFailure("a codec without a decoder") }
    return unsafe decode
  }

  /// Expands whole blocks: `bytes` holds exactly the blocks of `values.count` elements. Any bits are decoded, damaged
  /// blocks to NaN or infinity.
  public func decode(_ bytes: RawSpan, into values: inout MutableSpan<Float>) {
    precondition(format.byteCount(elements: values.count) == bytes.byteCount, "\(format.name): wrong size to decode")
    // Safe: the sizes were just checked, and the decoder reads and writes exactly these.
    unsafe bytes.withUnsafeBytes { source in
      unsafe values.withUnsafeMutableBufferPointer { target in
        unsafe decodeFunction(source.baseAddress?.assumingMemoryBound(to: UInt8.self), target.baseAddress, target.count)
      }
    }
  }

  /// The `count` elements of `bytes`, as `decode` expands them.
  public func decoded(_ bytes: RawSpan, count: Int) -> [Float] {
    precondition(format.byteCount(elements: count) == bytes.byteCount, "\(format.name): wrong size to decode")
    // Safe: the sizes were just checked, and the decoder reads and writes exactly these, all of them.
    return unsafe [Float](unsafeUninitializedCapacity: count) { target, initializedCount in
      unsafe bytes.withUnsafeBytes { source in
        unsafe decodeFunction(source.baseAddress?.assumingMemoryBound(to: UInt8.self), target.baseAddress, count)
      }
      initializedCount = count
    }
  }

  /// Encodes whole blocks into exactly the bytes they need. No block of Q2_0, Q4_0, Q4_1, Q5_0, Q5_1 or Q8_0 has a larger
  /// squared error than in the bytes that llama-quantize writes without calibration data; other formats search otherwise.
  ///
  /// - Parameters:
  ///   - importance: the weight (≥ 0) of each column's squared error, for rows of `importance.count` elements, a whole
  ///     number of blocks; nil for equal weights. Plain numbers have no choice and ignore it.
  ///   - isUnbiased: raise the scales until sums of products keep their size. Least squares leaves them smaller by the
  ///     relative error, which matters where many rows are summed alike.
  public func encode(
    _ values: Span<Float>, importance: Span<Float>? = nil, isUnbiased: Bool = false, into bytes: inout MutableRawSpan
  ) -> EncodeStatistics {
    guard let encode = unsafe row.pointee.encode else { preconditionFailure("\(format.name) cannot be encoded") }
    precondition(format.byteCount(elements: values.count) == bytes.byteCount, "\(format.name): wrong size to encode")
    if let importance {
      precondition(
        importance.count > 0 && importance.count % format.elementsPerBlock == 0 && values.count % importance.count == 0,
        "\(format.name): \(importance.count) weights for \(values.count) values")
    }
    var squaredError = 0.0
    let period = importance?.count ?? 0
    let unbiased: Int32 = isUnbiased ? 1 : 0
    // Safe: the sizes were just checked; the encoder reads `values` and `period` weights and writes exactly `bytes`.
    let nonFiniteCount = unsafe bytes.withUnsafeMutableBytes { target in
      let blocks = unsafe target.baseAddress?.assumingMemoryBound(to: UInt8.self)
      return unsafe values.withUnsafeBufferPointer { source in
        guard let importance else {
          return unsafe encode(source.baseAddress, source.count, nil, 0, unbiased, blocks, &squaredError)
        }
        return unsafe importance.withUnsafeBufferPointer { weights in
          unsafe encode(
            source.baseAddress, source.count, weights.baseAddress, period, unbiased, blocks, &squaredError)
        }
      }
    }
    return EncodeStatistics(squaredError: squaredError, nonFiniteCount: nonFiniteCount)
  }
}
