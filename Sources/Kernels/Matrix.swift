/// A row-major matrix in a buffer: `rows` rows of `columns` floats, `stride` floats from row to row.
public struct Matrix: Sendable {
  public let floats: Floats
  public let rows: Int
  public let columns: Int
  public let stride: Int

  /// The matrix at the start of `floats`. `stride`: `columns` where not given.
  public init(_ floats: Floats, rows: Int, columns: Int, stride: Int? = nil) {
    let stride = stride ?? columns
    precondition(rows >= 0 && columns >= 0 && stride >= columns)
    precondition(rows == 0 || (rows - 1) * stride + columns <= floats.count, "the matrix exceeds its floats")
    self.floats = floats
    self.rows = rows
    self.columns = columns
    self.stride = stride
  }

  /// A new, zeroed matrix.
  public init(rows: Int, columns: Int) {
    self.init(Floats(count: rows * columns), rows: rows, columns: columns)
  }

  /// The columns `range` of all rows.
  public func columns(_ range: Range<Int>) -> Matrix {
    precondition(range.lowerBound >= 0 && range.upperBound <= columns)
    let start = rows == 0 ? 0 : range.lowerBound
    return Matrix(floats[start..<floats.count], rows: rows, columns: range.count, stride: stride)
  }

  /// The rows `range`.
  public func rows(_ range: Range<Int>) -> Matrix {
    precondition(range.lowerBound >= 0 && range.upperBound <= rows)
    let start = range.isEmpty ? 0 : range.lowerBound * stride
    return Matrix(floats[start..<floats.count], rows: range.count, columns: columns, stride: stride)
  }

  /// Row `index`.
  public subscript(index: Int) -> Floats {
    precondition(index >= 0 && index < rows)
    return floats[index * stride..<index * stride + columns]
  }

  /// Takes the elements of another matrix of this shape.
  public func copy(from other: Matrix) {
    precondition(other.rows == rows && other.columns == columns, "shapes differ")
    for row in 0..<rows { unsafe (base + row * stride).update(from: other.base + row * other.stride, count: columns) }
  }

  /// Sets every element.
  public func fill(with value: Float) {
    for row in 0..<rows { unsafe (base + row * stride).update(repeating: value, count: columns) }
  }

  var base: UnsafeMutablePointer<Float> { unsafe floats.base }
}
