public import Bytes
public import Codecs
public import IR
public import Kernels
import Synchronization

/// One matrix as a GPU library keeps it. Its parts are lazy tensors; the first one that is read quantizes the matrix,
/// the last one lets the result go, so a model takes the memory of the few matrices that are being written.
public final class PackedMatrix: Sendable {
  public let base: TensorRef
  public let scheme: PackingScheme
  private let decoder: Codec
  private let importance: [Float]?
  /// Whether someone else computes the values, see `supply`.
  private let isSupplied: Bool
  private let state = Mutex(State())

  private struct State {
    var parts: [[UInt8]]?
    var undelivered = 0
    var statistics = RecodeStatistics()
  }

  /// Nil when the matrix does not fit the scheme, or has no decoder.
  /// - Parameters:
  ///   - importance: a weight per column, or nil.
  ///   - isSupplied: whether a calibration will `supply` the values.
  public init?(
    _ base: TensorRef, as scheme: PackingScheme, importance: [Float]?, isSupplied: Bool = false, kernels: Kernels
  ) {
    guard scheme.fits(base.shape), base.format.kind == .float, let decoder = Codec.for(base.format, kernels: kernels)
    else { return nil }
    precondition((importance?.count ?? base.shape.columns) == base.shape.columns, "\(base.name): ragged importance")
    self.base = base
    self.scheme = scheme
    self.decoder = decoder
    self.importance = importance
    self.isSupplied = isSupplied
  }

  /// Makes the parts readable: values on the scheme's grid, and what their groups have for scales and zeros.
  public func supply(_ groups: FeedbackGroups, statistics: RecodeStatistics) {
    precondition(isSupplied, "\(base.name) quantizes itself")
    var writer = PackedWriter(scheme, shape: base.shape, scaleFormat: scaleFormat)
    writer.add(rows: 0..<base.shape.rows, groups.decoded.floats.array(), importance: nil, groups: groups)
    let parts = writer.parts
    state.withLock { state in
      state.parts = parts
      state.statistics = statistics
      state.undelivered = parts.reduce(0) { $0 + $1.count }
    }
  }

  fileprivate var isReady: Bool { !isSupplied || state.withLock { $0.parts != nil } }

  private var scaleFormat: BlockFormat { PackingScheme.scaleFormat(for: base.format) }

  /// Tensors that replace `path.weight`.
  public func tensors(path: ByteString) -> [TensorRef] {
    scheme.parts(of: base.shape, scaleFormat: scaleFormat).enumerated().map { index, part in
      TensorRef(
        name: ByteString(bytes: path.bytes + Array(part.suffix.utf8)), shape: part.shape, format: part.format,
        source: Part(matrix: self, index: index, rowByteCount: part.format.bytesPerBlock * part.shape.columns))
    }
  }

  /// What quantizing it cost, once it has been read.
  public var statistics: RecodeStatistics { state.withLock { $0.statistics } }

  private struct Part: TensorSource {
    let matrix: PackedMatrix
    let index: Int
    let rowByteCount: Int

    var isReady: Bool { matrix.isReady }

    func read(rows: Range<Int>, into bytes: inout MutableRawSpan) throws(FileError) {
      try matrix.read(part: index, bytes: rows.lowerBound * rowByteCount..<rows.upperBound * rowByteCount, into: &bytes)
    }
  }

  private func read(part: Int, bytes range: Range<Int>, into target: inout MutableRawSpan) throws(FileError) {
    // Copied out as an array: the lock's closure cannot borrow the span.
    let result = state.withLock { state -> Result<[UInt8], FileError> in
      do throws(FileError) {
        if state.parts == nil {
          precondition(!isSupplied, "read before it was supplied")
          let (parts, statistics) = try packed()
          state.parts = parts
          state.statistics = statistics
          state.undelivered = parts.reduce(0) { $0 + $1.count }
        }
        let bytes = Array(state.parts?[part][range] ?? [])
        state.undelivered -= bytes.count
        if state.undelivered <= 0 { state.parts = nil }
        return .success(bytes)
      } catch { return .failure(error) }
    }
    let bytes = try result.get()
    target.copy(from: bytes.rawSpan)
  }

  /// Everything at once: bytes of each part.
  private func packed() throws(FileError) -> ([[UInt8]], RecodeStatistics) {
    let (outputs, inputs) = (base.shape.rows, base.shape.columns)
    var writer = PackedWriter(scheme, shape: base.shape, scaleFormat: scaleFormat)
    // Where rows end inside a block of 64, the blocks run on over rows.
    let isRagged = scheme.method == .nf4 && inputs % 64 != 0
    let slab = isRagged ? outputs : max(1, (1 << 18) / inputs)
    for first in stride(from: 0, to: outputs, by: slab) {
      let rows = first..<min(first + slab, outputs)
      var bytes = [UInt8](repeating: 0, count: rows.count * base.rowByteCount)
      try bytes.withMutableRawSpan { (span) throws(FileError) in try base.read(rows: rows, into: &span) }
      var values = [Float](repeating: 0, count: rows.count * inputs)
      var span = values.mutableSpan
      decoder.decode(bytes.rawSpan, into: &span)
      writer.add(rows: rows, values, importance: importance)
    }
    return (writer.parts, writer.statistics)
  }
}
