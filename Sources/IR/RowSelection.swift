public import Bytes

/// Some rows of every group of rows: rows `start ..< start + count` of each `group`, one after the other.
///
/// How fused projections fall apart: query, key and value of one matrix (one group), or the halves of every head.
public struct SelectedRows: TensorSource {
  private let base: TensorRef
  private let group: Int
  private let start: Int
  private let count: Int

  public init(_ base: TensorRef, group: Int, start: Int, count: Int) {
    precondition(count > 0 && start >= 0 && start + count <= group, "rows outside their group")
    self.base = base
    self.group = group
    self.start = start
    self.count = count
  }

  public var isReady: Bool { base.source.isReady }

  public func read(rows: Range<Int>, into bytes: inout MutableRawSpan) throws(FileError) {
    var row = rows.lowerBound
    while row < rows.upperBound {
      let end = min(rows.upperBound, (row / count + 1) * count)
      let first = row / count * group + start + row % count
      let read = try base.bytes(rows: first..<first + end - row)
      bytes.copy(from: read.rawSpan, at: (row - rows.lowerBound) * base.rowByteCount)
      row = end
    }
  }
}

/// The same as `SelectedRows` for the elements of a vector (a bias). One row.
public struct SelectedElements: TensorSource {
  private let base: TensorRef
  private let group: Int
  private let start: Int
  private let count: Int

  public init(_ base: TensorRef, group: Int, start: Int, count: Int) {
    precondition(
      base.format.isPlain && count > 0 && start >= 0 && start + count <= group, "elements outside their group")
    self.base = base
    self.group = group
    self.start = start
    self.count = count
  }

  public var isReady: Bool { base.source.isReady }

  public func read(rows: Range<Int>, into bytes: inout MutableRawSpan) throws(FileError) {
    let read = try base.bytes(rows: rows)
    let width = base.format.bytesPerBlock
    for (piece, first) in stride(from: start * width, to: read.count, by: group * width).enumerated() {
      bytes.copy(from: read.rawSpan.extracting(first..<first + count * width), at: piece * count * width)
    }
  }
}

/// Rows of several tensors in turn: `count` rows of the first, then of the second, and so on, again and again.
/// The inverse of `SelectedRows`.
public struct InterleavedRows: TensorSource {
  private let parts: [(tensor: TensorRef, count: Int)]
  private let group: Int

  public init(_ parts: [(tensor: TensorRef, count: Int)]) {
    precondition(parts.allSatisfy { $0.count > 0 }, "a part without rows")
    self.parts = parts
    group = parts.reduce(0) { $0 + $1.count }
  }

  public var isReady: Bool { parts.allSatisfy { $0.tensor.source.isReady } }

  public func read(rows: Range<Int>, into bytes: inout MutableRawSpan) throws(FileError) {
    var row = rows.lowerBound
    while row < rows.upperBound {
      var offset = row % group
      for part in parts {
        guard offset < part.count else {
          offset -= part.count
          continue
        }
        let taken = min(part.count - offset, rows.upperBound - row)
        let first = row / group * part.count + offset
        let read = try part.tensor.bytes(rows: first..<first + taken)
        bytes.copy(from: read.rawSpan, at: (row - rows.lowerBound) * part.tensor.rowByteCount)
        row += taken
        break
      }
    }
  }
}

/// The same as `InterleavedRows` for the elements of vectors. One row.
public struct InterleavedElements: TensorSource {
  private let parts: [(tensor: TensorRef, count: Int)]

  public init(_ parts: [(tensor: TensorRef, count: Int)]) {
    precondition(parts.allSatisfy { $0.count > 0 && $0.tensor.format.isPlain }, "a part without elements")
    self.parts = parts
  }

  public var isReady: Bool { parts.allSatisfy { $0.tensor.source.isReady } }

  public func read(rows: Range<Int>, into bytes: inout MutableRawSpan) throws(FileError) {
    let width = parts[0].tensor.format.bytesPerBlock
    let group = parts.reduce(0) { $0 + $1.count } * width
    var start = 0
    for part in parts {
      let read = try part.tensor.bytes(rows: rows)
      let count = part.count * width
      for (piece, first) in stride(from: 0, to: read.count, by: count).enumerated() {
        bytes.copy(from: read.rawSpan.extracting(first..<first + count), at: piece * group + start)
      }
      start += count
    }
  }
}

/// Rows from `offset` on: one expert of a stack, positions after those that are never used.
public struct LaterRows: TensorSource {
  private let base: TensorRef
  private let offset: Int

  public init(_ base: TensorRef, offset: Int) {
    self.base = base
    self.offset = offset
  }

  public var isReady: Bool { base.source.isReady }

  public func read(rows: Range<Int>, into bytes: inout MutableRawSpan) throws(FileError) {
    try base.read(rows: rows.lowerBound + offset..<rows.upperBound + offset, into: &bytes)
  }
}

/// A stack of matrices [rows, columns] of plain numbers, each with its axes exchanged. Reads whole matrices for any rows
/// of them: use it through `PanelSource`.
public struct TransposedGroups: TensorSource {
  private let base: TensorRef
  private let rowsPerMatrix: Int

  public init(_ base: TensorRef, rowsPerMatrix: Int) {
    precondition(base.format.isPlain && rowsPerMatrix > 0, "only plain numbers transpose")
    self.base = base
    self.rowsPerMatrix = rowsPerMatrix
  }

  public var isReady: Bool { base.source.isReady }

  public func read(rows: Range<Int>, into bytes: inout MutableRawSpan) throws(FileError) {
    let width = base.format.bytesPerBlock
    let columns = base.shape.columns
    let rowByteCount = rowsPerMatrix * width
    var row = rows.lowerBound
    while row < rows.upperBound {
      let matrix = row / columns
      let end = min(rows.upperBound, (matrix + 1) * columns)
      let read = try base.bytes(rows: matrix * rowsPerMatrix..<(matrix + 1) * rowsPerMatrix)
      for target in row..<end {
        for source in 0..<rowsPerMatrix {
          let from = source * base.rowByteCount + target % columns * width
          bytes.copy(
            from: read.rawSpan.extracting(from..<from + width),
            at: (target - rows.lowerBound) * rowByteCount + source * width)
        }
      }
      row = end
    }
  }
}

/// Plain numbers plus a constant, as F32.
public struct ShiftedSource: TensorSource {
  private let base: TensorRef
  private let shift: Float

  public init(_ base: TensorRef, by shift: Float) {
    precondition(base.format.isPlain, "\(base.name): only plain numbers can be shifted")
    self.base = base
    self.shift = shift
  }

  public var isReady: Bool { base.source.isReady }

  public func read(rows: Range<Int>, into bytes: inout MutableRawSpan) throws(FileError) {
    var values = try base.floats(rows: rows)
    for index in values.indices { values[index] += shift }
    bytes.store(values.span)
  }
}

/// What a tensor was made from, so that writing it the old way finds the old tensors again.
public struct DerivedSource: TensorSource {
  public let base: any TensorSource
  /// As the file has them.
  public let origins: [TensorRef]

  public init(_ base: any TensorSource, origins: [TensorRef]) {
    self.base = base
    self.origins = origins
  }

  public var isReady: Bool { base.isReady }

  public func read(rows: Range<Int>, into bytes: inout MutableRawSpan) throws(FileError) {
    try base.read(rows: rows, into: &bytes)
  }
}
