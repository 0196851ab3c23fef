public import Bytes

/// Elements of a file at a step of their own along each axis: a transposed or sliced view, or Fortran order.
///
/// Reads the span of the file between the first and the last element of the requested rows into memory; for a transposed
/// matrix that is nearly all of it, whichever rows are asked for.
public struct StridedTensorSource: TensorSource {
  public let file: InputFile
  /// Of the first element, in bytes.
  public let offset: Int
  /// Outermost first.
  public let dimensions: [Int]
  /// In elements, none negative; as many as axes.
  public let strides: [Int]
  public let elementByteCount: Int

  public init(file: InputFile, offset: Int, dimensions: [Int], strides: [Int], elementByteCount: Int) {
    precondition(dimensions.count == strides.count && strides.allSatisfy { $0 >= 0 }, "strides do not fit the shape")
    self.file = file
    self.offset = offset
    self.dimensions = dimensions
    self.strides = strides
    self.elementByteCount = elementByteCount
  }

  /// The strides of a tensor without gaps, in elements.
  public static func contiguousStrides(of dimensions: [Int]) -> [Int] {
    var strides = [Int](repeating: 1, count: dimensions.count)
    for axis in dimensions.indices.dropLast().reversed() {
      strides[axis] = strides[axis + 1] * max(1, dimensions[axis + 1])
    }
    return strides
  }

  public var forwardOffset: Int? { file.readsForward ? offset : nil }

  public func read(rows: Range<Int>, into bytes: inout MutableRawSpan) throws(FileError) {
    guard let columns = dimensions.last, let columnStride = strides.last, columns > 0, !rows.isEmpty else {
      // A scalar is one row of one element.
      if dimensions.isEmpty { try file.read(at: offset, into: &bytes) }
      return
    }
    let starts = rows.map(startOfRow)
    guard let first = starts.min(), let last = starts.max() else { return }
    let span = try file.read(
      at: offset + first * elementByteCount, count: (last - first + (columns - 1) * columnStride + 1) * elementByteCount
    )
    var target = 0
    for start in starts {
      for column in 0..<columns {
        let from = (start - first + column * columnStride) * elementByteCount
        bytes.copy(from: span.rawSpan.extracting(from..<from + elementByteCount), at: target)
        target += elementByteCount
      }
    }
  }

  /// The element at which a row begins, from `offset`.
  private func startOfRow(_ row: Int) -> Int {
    var rest = row
    var start = 0
    for axis in dimensions.indices.dropLast().reversed() {
      start += rest % dimensions[axis] * strides[axis]
      rest /= dimensions[axis]
    }
    return start
  }
}
