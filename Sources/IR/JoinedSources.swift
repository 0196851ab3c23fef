public import Bytes

/// Tensors one below the other: the first axis is the sum of theirs.
public struct ConcatenatedRows: TensorSource {
  private let parts: [TensorRef]

  public init(_ parts: [TensorRef]) { self.parts = parts }

  public func read(rows: Range<Int>, into bytes: inout MutableRawSpan) throws(FileError) {
    var start = 0
    var target = 0
    for part in parts {
      let end = start + part.shape.rows
      let wanted = rows.clamped(to: start..<end)
      if !wanted.isEmpty {
        let read = try part.bytes(rows: wanted.lowerBound - start..<wanted.upperBound - start)
        bytes.copy(from: read.rawSpan, at: target)
        target += read.count
      }
      start = end
    }
  }
}

/// Tensors side by side: the last axis is the sum of theirs.
public struct ConcatenatedColumns: TensorSource {
  private let parts: [TensorRef]

  public init(_ parts: [TensorRef]) { self.parts = parts }

  public func read(rows: Range<Int>, into bytes: inout MutableRawSpan) throws(FileError) {
    let width = parts.reduce(0) { $0 + $1.rowByteCount }
    var left = 0
    for part in parts {
      let read = try part.bytes(rows: rows)
      let count = part.rowByteCount
      for row in 0..<rows.count {
        bytes.copy(from: read.rawSpan.extracting(row * count..<(row + 1) * count), at: row * width + left)
      }
      left += count
    }
  }
}

/// Flat pieces of one file, one after the other, in rows that may cross from one to the next.
public struct FlatPieces: TensorSource {
  private let file: InputFile
  /// In the file.
  private let pieces: [Range<Int>]
  private let rowByteCount: Int

  public init(file: InputFile, pieces: [Range<Int>], rowByteCount: Int) {
    self.file = file
    self.pieces = pieces
    self.rowByteCount = rowByteCount
  }

  public func read(rows: Range<Int>, into bytes: inout MutableRawSpan) throws(FileError) {
    let wanted = rows.lowerBound * rowByteCount..<rows.upperBound * rowByteCount
    var start = 0
    for piece in pieces {
      let part = wanted.clamped(to: start..<start + piece.count)
      if !part.isEmpty {
        let read = try file.read(at: piece.lowerBound + part.lowerBound - start, count: part.count)
        bytes.copy(from: read.rawSpan, at: part.lowerBound - wanted.lowerBound)
      }
      start += piece.count
    }
  }
}

/// A matrix of plain numbers with its axes exchanged. Reads the whole base for any rows: use it through `PanelSource`.
public struct TransposedSource: TensorSource {
  private let base: TensorRef

  public init(_ base: TensorRef) { self.base = base }

  public func read(rows: Range<Int>, into bytes: inout MutableRawSpan) throws(FileError) {
    let width = base.format.bytesPerBlock
    let baseRows = base.shape.rows
    let slab = max(1, (1 << 18) / max(1, base.rowByteCount))
    var first = 0
    while first < baseRows {
      let last = min(first + slab, baseRows)
      let read = try base.bytes(rows: first..<last)
      for row in first..<last {
        let start = (row - first) * base.rowByteCount + rows.lowerBound * width
        for column in 0..<rows.count {
          bytes.copy(
            from: read.rawSpan.extracting(start + column * width..<start + (column + 1) * width),
            at: (column * baseRows + row) * width)
        }
      }
      first = last
    }
  }
}

extension TensorRef {
  /// The transposed matrix, read through panels.
  public func transposed(_ cache: PanelCache) -> TensorRef {
    precondition(shape.dimensions.count == 2 && format.isPlain, "\(name): only matrices of plain numbers transpose")
    var result = self
    result.shape = .matrix(rows: shape.dimensions[1], columns: shape.dimensions[0])
    result.source = TransposedSource(self)
    return result.paneled(cache)
  }
}
