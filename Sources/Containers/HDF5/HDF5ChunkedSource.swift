import Archives
import Bytes
import IR

/// Rows of a dataset in chunks. Reads every chunk that holds any of the rows: use it through `PanelSource`.
struct HDF5ChunkedSource: TensorSource {
  struct Chunk: Sendable {
    /// Its first element, in elements along each axis.
    let start: [Int]
    let offset: Int
    let byteCount: Int
    /// Bit i: filter i was not used.
    let skipped: UInt32
  }

  let file: InputFile
  let dimensions: [Int]
  let sizes: [Int]
  /// In ascending order of their starts; elements of chunks that are not there are `fill`.
  let chunks: [Chunk]
  let isComplete: Bool
  let filters: [HDF5Filter]
  /// One element.
  let fill: [UInt8]

  private var elementByteCount: Int { fill.count }

  func read(rows: Range<Int>, into bytes: inout MutableRawSpan) throws(FileError) {
    let axes = dimensions.count
    let columns = dimensions[axes - 1]
    // Rows of the flattened leading axes for one step of the first axis.
    let stride = axes == 1 ? 1 : dimensions[1..<max(1, axes - 1)].reduce(1, *)
    if !isComplete { HDF5FillSource.fill(&bytes, with: fill) }
    for chunk in chunks[candidates(rows, stride: stride)] {
      if axes > 1 {
        let span = chunk.start[0] * stride..<min(chunk.start[0] + sizes[0], dimensions[0]) * stride
        if !span.overlaps(rows) { continue }
      }
      let data = try expanded(chunk)
      let width = min(sizes[axes - 1], columns - chunk.start[axes - 1])
      let chunkRows = sizes.dropLast().reduce(1, *)
      for chunkRow in 0..<chunkRows {
        guard let row = row(of: chunkRow, in: chunk), rows.contains(row) else { continue }
        let from = chunkRow * sizes[axes - 1] * elementByteCount
        bytes.copy(
          from: data.rawSpan.extracting(from..<from + width * elementByteCount),
          at: ((row - rows.lowerBound) * columns + chunk.start[axes - 1]) * elementByteCount)
      }
    }
  }

  /// The chunks whose place along the first axis may hold any of the rows.
  private func candidates(_ rows: Range<Int>, stride: Int) -> Range<Int> {
    guard dimensions.count > 1, stride > 0 else { return 0..<chunks.count }
    let first = rows.lowerBound / stride - sizes[0]
    let last = (rows.upperBound + stride - 1) / stride
    func position(of place: Int) -> Int {
      var low = 0
      var high = chunks.count
      while low < high {
        let middle = (low + high) / 2
        if chunks[middle].start[0] < place { low = middle + 1 } else { high = middle }
      }
      return low
    }
    return position(of: first)..<max(position(of: first), position(of: last))
  }

  /// The dataset's row that a chunk's row is, or nil where the chunk reaches past the dataset.
  private func row(of chunkRow: Int, in chunk: Chunk) -> Int? {
    var rest = chunkRow
    var result = 0
    var stride = 1
    for axis in (0..<dimensions.count - 1).reversed() {
      let place = chunk.start[axis] + rest % sizes[axis]
      guard place < dimensions[axis] else { return nil }
      rest /= sizes[axis]
      result += place * stride
      stride *= dimensions[axis]
    }
    return result
  }

  private func expanded(_ chunk: Chunk) throws(FileError) -> [UInt8] {
    let byteCount = sizes.reduce(elementByteCount, *)
    var data = try file.read(at: chunk.offset, count: chunk.byteCount)
    for (index, filter) in filters.enumerated().reversed() where chunk.skipped >> UInt32(index) & 1 == 0 {
      switch filter {
      case .deflate:
        do throws(Inflate.Fault) { data = try Inflate.zlib(data, limit: byteCount + 8) } catch {
          throw .damaged(path: file.path, reason: "HDF5 chunk: \(error.reason)", offset: chunk.offset + error.offset)
        }
      case .lzf:
        guard let expanded = HDF5Filter.expandLZF(data, byteCount: byteCount) else {
          throw .damaged(path: file.path, reason: "HDF5 chunk: damaged LZF data", offset: chunk.offset)
        }
        data = expanded
      case .shuffle(let width):
        let count = data.count / width
        var result = data
        for index in 0..<count {
          for byte in 0..<width { result[index * width + byte] = data[byte * count + index] }
        }
        data = result
      case .fletcher32: data = Array(data.dropLast(4))
      }
    }
    guard data.count == byteCount else {
      throw .damaged(
        path: file.path, reason: "HDF5 chunk of \(data.count) bytes, not \(byteCount)", offset: chunk.offset)
    }
    return data
  }
}

/// A dataset of which nothing was written: every element is the same.
struct HDF5FillSource: TensorSource {
  /// One element.
  let element: [UInt8]

  func read(rows: Range<Int>, into bytes: inout MutableRawSpan) throws(FileError) {
    Self.fill(&bytes, with: element)
  }

  static func fill(_ bytes: inout MutableRawSpan, with element: [UInt8]) {
    let pattern = [[UInt8]](repeating: element, count: 1024).flatMap { $0 }
    for offset in stride(from: 0, to: bytes.byteCount, by: pattern.count) {
      bytes.copy(from: pattern.rawSpan.extracting(0..<min(pattern.count, bytes.byteCount - offset)), at: offset)
    }
  }
}
