public import Bytes
public import IR
public import Kernels
import Synchronization

/// Rows of another tensor in another format: decoded and encoded again as they are read.
///
/// Keeps what the change cost. The statistics do not depend on which thread read which rows.
public final class RecodedSource: TensorSource {
  private let base: TensorRef
  private let decoder: Codec
  private let encoder: Codec
  private let kernels: Kernels
  /// Weights of the columns' squared errors, a row per matrix of the stack; empty: equal ones. Asked for once.
  private let importance: Deferred<[Float]>
  private let isUnbiased: Bool
  private let watch: (@Sendable (Span<Float>, Range<Int>) -> Void)?
  public let follows: [ByteString]
  private let statisticsByRow = Mutex<[Int: RecodeStatistics]>([:])

  /// Nil when either format has no codec for its part.
  ///
  /// - Parameters:
  ///   - importance: as `Importance.weights(of:shape:)` gives it, or nil for equal weights; asked when the first rows are
  ///     read, since it may read other tensors.
  ///   - isUnbiased: as `Codec.encode` has it.
  ///   - follows: the tensors that `importance` would read, if they were not read before.
  ///   - watch: sees all rows as they are decoded, with their numbers, from any thread.
  public init?(
    _ base: TensorRef, as format: BlockFormat, importance: @escaping @Sendable () -> [Float]? = { nil },
    isUnbiased: Bool = false, follows: [ByteString] = [],
    watch: (@Sendable (Span<Float>, Range<Int>) -> Void)? = nil, kernels: Kernels
  ) {
    guard let decoder = Codec.for(base.format, kernels: kernels), let encoder = Codec.for(format, kernels: kernels),
      encoder.canEncode
    else { return nil }
    self.base = base
    self.decoder = decoder
    self.encoder = encoder
    self.kernels = kernels
    self.isUnbiased = isUnbiased
    self.follows = follows
    self.watch = watch
    self.importance = Deferred {
      let weights = importance() ?? []
      precondition(weights.count % max(1, base.shape.columns) == 0, "\(base.name): ragged importance")
      return weights
    }
  }

  public var isReady: Bool { base.source.isReady }
  public var forwardOffset: Int? { base.source.forwardOffset }
  public var rowsTogether: Int { base.source.rowsTogether }

  public func read(rows: Range<Int>, into bytes: inout MutableRawSpan) throws(FileError) {
    var stored = [UInt8](repeating: 0, count: rows.count * base.rowByteCount)
    try stored.withMutableRawSpan { (span) throws(FileError) in try base.read(rows: rows, into: &span) }
    let values = decoder.decoded(stored.rawSpan, count: rows.count * base.shape.columns)
    watch?(values.span, rows)
    let encoded = encode(values.span, rows: rows, into: &bytes)
    let statistics = RecodeStatistics(
      squaredError: encoded.squaredError, squaredSum: kernels.squaredSum(values.span),
      nonFiniteCount: encoded.nonFiniteCount)
    statisticsByRow.withLock { $0[rows.lowerBound] = statistics }
  }

  private func encode(_ values: Span<Float>, rows: Range<Int>, into bytes: inout MutableRawSpan) -> EncodeStatistics {
    let importance = importance.value
    guard !importance.isEmpty else { return encoder.encode(values, isUnbiased: isUnbiased, into: &bytes) }
    let allWeights = importance.span
    let columns = base.shape.columns
    let rowsPerMatrix = max(1, base.shape.rows / (importance.count / columns))
    func weights(_ matrix: Int) -> Range<Int> { matrix * columns..<(matrix + 1) * columns }
    let first = rows.lowerBound / rowsPerMatrix
    if rows.upperBound <= (first + 1) * rowsPerMatrix {
      let mine = allWeights.extracting(weights(first))
      return encoder.encode(values, importance: mine, isUnbiased: isUnbiased, into: &bytes)
    }
    // A slab that reaches into the next expert: each one's rows are weighed by what reaches that expert.
    let rowByteCount = bytes.byteCount / rows.count
    var total = EncodeStatistics()
    var row = rows.lowerBound
    while row < rows.upperBound {
      let matrix = row / rowsPerMatrix
      let end = min(rows.upperBound, (matrix + 1) * rowsPerMatrix)
      let part = row - rows.lowerBound..<end - rows.lowerBound
      var encoded = [UInt8](repeating: 0, count: part.count * rowByteCount)
      let mine = allWeights.extracting(weights(matrix))
      let partValues = values.extracting(part.lowerBound * columns..<part.upperBound * columns)
      encoded.withMutableRawSpan { span in
        total.add(encoder.encode(partValues, importance: mine, isUnbiased: isUnbiased, into: &span))
      }
      bytes.copy(from: encoded.rawSpan, at: part.lowerBound * rowByteCount)
      row = end
    }
    return total
  }

  /// Of all rows read so far, summed in row order.
  public var statistics: RecodeStatistics {
    statisticsByRow.withLock { byRow in
      byRow.sorted { $0.key < $1.key }.reduce(into: RecodeStatistics()) { $0 += $1.value }
    }
  }
}

/// What storing a tensor in another format cost, against its decoded source.
public struct RecodeStatistics: Sendable, Hashable {
  public var squaredError = 0.0
  /// Of the source's values: what the error is relative to.
  public var squaredSum = 0.0
  public var nonFiniteCount = 0

  public init() {}

  public init(squaredError: Double, squaredSum: Double, nonFiniteCount: Int) {
    self.squaredError = squaredError
    self.squaredSum = squaredSum
    self.nonFiniteCount = nonFiniteCount
  }

  public static func += (total: inout Self, part: Self) {
    total.squaredError += part.squaredError
    total.squaredSum += part.squaredSum
    total.nonFiniteCount += part.nonFiniteCount
  }
}
