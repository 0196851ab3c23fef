import CKernels

/// How a matrix's weights are stored and multiplied.
public enum WeightStorage: Sendable {
  case f32, f16, bf16
  /// Blocks of 32 repacked into panels; products of int8 with inputs rounded to int8 block by block ("fast").
  case q8_0, q4_0, q4_1, q5_0, q5_1
  /// Rows of blocks as in the file; products of floats with the decoded weights ("exact").
  case encoded(BlockDecoder)

  var code: quern_weights {
    switch self {
    case .f32: QUERN_WEIGHTS_F32
    case .f16: QUERN_WEIGHTS_F16
    case .bf16: QUERN_WEIGHTS_BF16
    case .q8_0: QUERN_WEIGHTS_Q8_0
    case .q4_0: QUERN_WEIGHTS_Q4_0
    case .q4_1: QUERN_WEIGHTS_Q4_1
    case .q5_0: QUERN_WEIGHTS_Q5_0
    case .q5_1: QUERN_WEIGHTS_Q5_1
    case .encoded: QUERN_WEIGHTS_ENCODED
    }
  }

  /// Elements and bytes of one block of the file's encoding.
  var block: (elements: Int, bytes: Int) {
    switch self {
    case .f32: (1, 4)
    case .f16, .bf16: (1, 2)
    case .q8_0: (32, 34)
    case .q4_0: (32, 18)
    case .q4_1: (32, 20)
    case .q5_0: (32, 22)
    case .q5_1: (32, 24)
    case .encoded(let decoder): (decoder.blockElements, decoder.blockBytes)
    }
  }

  /// Whether products round their input to int8.
  public var isInt8: Bool {
    switch self {
    case .q8_0, .q4_0, .q4_1, .q5_0, .q5_1: true
    default: false
    }
  }
}

/// A codec's way to expand blocks: `decode(blocks, out, elementCount)`.
@safe public struct BlockDecoder: Sendable {
  public typealias Function = @convention(c) (UnsafePointer<UInt8>?, UnsafeMutablePointer<Float>?, Int) -> Void
  public let blockElements: Int
  public let blockBytes: Int
  let decode: Function

  /// `blockElements`: a divisor of 256.
  public init(blockElements: Int, blockBytes: Int, decode: @escaping Function) {
    precondition(blockElements > 0 && 256 % blockElements == 0 && blockBytes > 0)
    self.blockElements = blockElements
    self.blockBytes = blockBytes
    unsafe self.decode = decode
  }
}

/// The weights of a linear layer, [rows (outputs), columns (inputs)], arranged for the product.
///
/// Fill it once from the file's bytes, in any number of pieces; after that it is read-only.
@safe public final class WeightMatrix: Sendable {
  public let rows: Int
  public let columns: Int
  public let storage: WeightStorage
  let buffer: Buffer
  /// Of the matrix in the buffer, in bytes.
  private let offset: Int

  var base: UnsafeMutableRawPointer { unsafe buffer.base + offset }

  /// Bytes of one row in the file.
  public var rowByteCount: Int { columns / storage.block.elements * storage.block.bytes }
  /// Bytes this matrix occupies.
  public var byteCount: Int { Self.byteCount(rows: rows, columns: columns, storage: storage) }

  /// `columns` must be a multiple of the block's elements.
  public convenience init(rows: Int, columns: Int, storage: WeightStorage) {
    precondition(rows > 0 && columns > 0 && columns % storage.block.elements == 0)
    let buffer = Buffer(byteCount: Self.byteCount(rows: rows, columns: columns, storage: storage))
    self.init(rows: rows, columns: columns, storage: storage, buffer: buffer, offset: 0)
  }

  init(rows: Int, columns: Int, storage: WeightStorage, buffer: Buffer, offset: Int) {
    self.rows = rows
    self.columns = columns
    self.storage = storage
    self.buffer = buffer
    self.offset = offset
  }

  static func byteCount(rows: Int, columns: Int, storage: WeightStorage) -> Int {
    let panelBytes = quern_panel_bytes(storage.code, columns)
    let rowBytes = columns / storage.block.elements * storage.block.bytes
    return panelBytes == 0 ? rows * rowBytes : (rows + 15) / 16 * panelBytes
  }

  /// Takes the rows of `range` from the bytes they have in the file (little-endian elements or blocks, row by row).
  public func fill(rows range: Range<Int>, from bytes: RawSpan) {
    precondition(range.lowerBound >= 0 && range.upperBound <= rows, "no such rows")
    precondition(bytes.byteCount == range.count * rowByteCount, "the bytes are not those of the rows")
    guard !range.isEmpty else { return }
    unsafe bytes.withUnsafeBytes { bytes in
      guard let source = bytes.baseAddress else { return }
      if case .encoded = storage {
        unsafe (base + range.lowerBound * rowByteCount).copyMemory(from: source, byteCount: bytes.count)
      } else {
        unsafe quern_pack(storage.code, columns, base, range.lowerBound, range.count, source)
      }
    }
  }

  /// Row `index` as floats (an embedding): the values the file's encoding stands for.
  public func read(row index: Int, into out: Floats) {
    precondition(index >= 0 && index < rows && out.count == columns)
    if case .encoded(let decoder) = storage {
      let row = unsafe (base + index * rowByteCount).assumingMemoryBound(to: UInt8.self)
      unsafe decoder.decode(row, out.base, columns)
    } else {
      unsafe quern_unpack_row(storage.code, columns, base, index, out.base)
    }
  }
}
