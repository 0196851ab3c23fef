public import Bytes
import Synchronization

/// The last few panels that were read, shared by the tensors of one checkpoint; bounded whatever the model's size.
public final class PanelCache: Sendable {
  /// Bytes of a panel, at most, unless one row is longer.
  public static let panelByteCount = 4 << 20
  private static let slotCount = 8

  private final class Slot: Sendable {
    struct State {
      var owner = -1
      var panel = -1
      var bytes: [UInt8] = []
      /// Rows that nobody has read yet.
      var unread = 0
    }
    let state = Mutex(State())
  }

  private let slots: [Slot] = (0..<slotCount).map { _ in Slot() }
  private let ownerCount = Mutex(0)

  public init() {}

  func register() -> Int {
    ownerCount.withLock {
      $0 += 1
      return $0
    }
  }

  /// The panel's bytes, for who reads so many of its rows; who asks second waits for who makes them. A panel goes when as
  /// many rows were read as it has: tensors are read once, from end to end.
  func bytes(
    owner: Int, panel: Int, reading rows: Int, of rowCount: Int, make: () throws(FileError) -> [UInt8]
  ) throws(FileError) -> [UInt8] {
    try slots[(owner &+ panel) % Self.slotCount].state.withLock { (state) throws(FileError) in
      if state.owner != owner || state.panel != panel {
        state = .init()
        state = .init(owner: owner, panel: panel, bytes: try make(), unread: rowCount)
      }
      let bytes = state.bytes
      state.unread -= rows
      if state.unread <= 0 { state = .init() }
      return bytes
    }
  }
}

/// Rows of a source that is dear to read in small pieces (a transposed view, packed columns), read in panels of many.
public struct PanelSource: TensorSource {
  private let base: any TensorSource
  private let rowByteCount: Int
  private let rowCount: Int
  private let rowsPerPanel: Int
  private let cache: PanelCache
  private let owner: Int

  public init(_ base: any TensorSource, rowByteCount: Int, rowCount: Int, cache: PanelCache) {
    self.base = base
    self.rowByteCount = rowByteCount
    self.rowCount = rowCount
    rowsPerPanel = max(1, PanelCache.panelByteCount / max(1, rowByteCount))
    self.cache = cache
    owner = cache.register()
  }

  public var forwardOffset: Int? { base.forwardOffset }

  public func read(rows: Range<Int>, into bytes: inout MutableRawSpan) throws(FileError) {
    precondition(rows.upperBound <= rowCount, "there are no such rows")
    var row = rows.lowerBound
    while row < rows.upperBound {
      let panel = row / rowsPerPanel
      let first = panel * rowsPerPanel
      let last = min(first + rowsPerPanel, rowCount)
      let end = min(last, rows.upperBound)
      let held = try cache.bytes(owner: owner, panel: panel, reading: end - row, of: last - first) {
        () throws(FileError) in
        var made = [UInt8](repeating: 0, count: (last - first) * rowByteCount)
        try made.withMutableRawSpan { (span) throws(FileError) in try base.read(rows: first..<last, into: &span) }
        return made
      }
      bytes.copy(
        from: held.rawSpan.extracting((row - first) * rowByteCount..<(end - first) * rowByteCount),
        at: (row - rows.lowerBound) * rowByteCount)
      row = end
    }
  }
}

extension TensorRef {
  /// The same tensor read through panels.
  public func paneled(_ cache: PanelCache) -> TensorRef {
    var result = self
    result.source = PanelSource(source, rowByteCount: rowByteCount, rowCount: shape.rows, cache: cache)
    return result
  }
}
