public import Bytes
public import IR
public import Kernels
import Synchronization

/// Writes the files that containers laid out: tensors are read, converted and written slab by slab, on all threads.
///
/// A slab is a fixed number of rows, so the bytes (and the statistics of converted tensors) do not depend on the threads;
/// memory is a few slabs per thread, whatever the model's size.
public struct TensorStreamer: Sendable {
  private let pool: WorkerPool
  /// Called from any thread with the bytes that were just written.
  private let progress: @Sendable (Int) -> Void
  /// Something else that takes long and cannot be divided: one thread does it while the others write. May be called
  /// more than once.
  private let meanwhile: @Sendable () -> Void

  /// Elements of a slab: decoded, it stays in a core's second-level cache.
  private static let slabElementCount = 1 << 16

  public init(
    pool: WorkerPool, meanwhile: @escaping @Sendable () -> Void = {},
    progress: @escaping @Sendable (Int) -> Void = { _ in }
  ) {
    self.pool = pool
    self.meanwhile = meanwhile
    self.progress = progress
  }

  /// Fills `file` with the layout's header and tensors. On an error the rest is skipped and the first one thrown.
  public func write(_ layout: FileLayout, to file: AtomicFile) throws(FileError) {
    var open = try OpenFile(layout, file)
    try writeReady(&open)
    precondition(open.remaining.isEmpty, "a tensor was never computed")
  }

  /// A file whose tensors are written as they become ready.
  struct OpenFile {
    let file: AtomicFile
    fileprivate(set) var remaining: [FileLayout.Placement]

    /// Reserves the space and writes the header.
    init(_ layout: FileLayout, _ file: AtomicFile) throws(FileError) {
      try file.reserve(byteCount: layout.byteCount)
      try file.write(layout.header, at: 0)
      self.file = file
      remaining = layout.placements
    }
  }

  /// Writes all tensors that are ready and not written yet.
  func writeReady(_ open: inout OpenFile) throws(FileError) {
    let ready = open.remaining.filter { $0.tensor.source.isReady }
    open.remaining.removeAll { $0.tensor.source.isReady }
    try write(Self.inOrderOfReading(ready), to: open.file)
  }

  /// Tensors of a compressed file as they lie in it: going back would mean expanding it again. Else as they are, but each
  /// behind those it follows.
  private static func inOrderOfReading(_ placements: [FileLayout.Placement]) -> [FileLayout.Placement] {
    let offsets = placements.map { $0.tensor.source.forwardOffset }
    guard offsets.allSatisfy({ $0 == nil }) else {
      return placements.indices.sorted { (offsets[$0] ?? -1, $0) < (offsets[$1] ?? -1, $1) }.map { placements[$0] }
    }
    let places = Dictionary(placements.indices.map { (placements[$0].tensor.name, $0) }) { first, _ in first }
    var isSeen = [Bool](repeating: false, count: placements.count)
    var isPlaced = isSeen
    var ordered: [FileLayout.Placement] = []
    for index in placements.indices {
      // Not by recursion: a file says how long such a chain is.
      var chain = [index]
      while let last = chain.last {
        if !isSeen[last] {
          isSeen[last] = true
          let earlier = placements[last].tensor.source.follows.compactMap { places[$0] }
          chain += earlier.filter { !isSeen[$0] }.reversed()
        } else {
          chain.removeLast()
          if !isPlaced[last] { ordered.append(placements[last]) }
          isPlaced[last] = true
        }
      }
    }
    return ordered
  }

  private func write(_ placements: [FileLayout.Placement], to file: AtomicFile) throws(FileError) {
    let slabs = Slabs(placements)
    let failure = Mutex<FileError?>(nil)
    pool.run(tasks: 1 + slabs.count) { task in
      guard task > 0 else { return meanwhile() }
      guard failure.withLock({ $0 == nil }) else { return }
      let (placement, rows) = slabs[task - 1]
      let tensor = placement.tensor
      do throws(FileError) {
        var bytes = [UInt8](repeating: 0, count: rows.count * tensor.rowByteCount)
        try bytes.withMutableRawSpan { (span) throws(FileError) in try tensor.read(rows: rows, into: &span) }
        try file.write(bytes, at: placement.offset + rows.lowerBound * tensor.rowByteCount)
        progress(bytes.count)
      } catch {
        failure.withLock { $0 = $0 ?? error }
      }
    }
    if let error = failure.withLock({ $0 }) { throw error }
  }

  /// All slabs of all tensors, numbered, without a list of them.
  private struct Slabs: Sendable {
    private let placements: [FileLayout.Placement]
    private let rowsPerSlab: [Int]
    /// The number of the first slab of each tensor, and the total at the end.
    private let firstSlab: [Int]

    init(_ placements: [FileLayout.Placement]) {
      self.placements = placements
      rowsPerSlab = placements.map { placement in
        let together = max(1, placement.tensor.source.rowsTogether)
        let rows = TensorStreamer.slabElementCount / max(1, placement.tensor.shape.columns)
        return max(together, rows / together * together)
      }
      var firstSlab = [0]
      for (placement, rows) in zip(placements, rowsPerSlab) {
        firstSlab.append((firstSlab.last ?? 0) + (placement.tensor.shape.rows + rows - 1) / rows)
      }
      self.firstSlab = firstSlab
    }

    var count: Int { firstSlab.last ?? 0 }

    subscript(index: Int) -> (FileLayout.Placement, Range<Int>) {
      var low = 0
      var high = placements.count
      while high - low > 1 {
        let middle = (low + high) / 2
        if firstSlab[middle] <= index { low = middle } else { high = middle }
      }
      let first = (index - firstSlab[low]) * rowsPerSlab[low]
      return (placements[low], first..<min(first + rowsPerSlab[low], placements[low].tensor.shape.rows))
    }
  }
}
