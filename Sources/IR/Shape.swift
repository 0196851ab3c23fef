/// The axes of a tensor, outermost first: a weight is [rows, columns], with columns contiguous in memory.
/// (GGUF and ggml list them the other way round; their reader and writer reverse.)
public struct Shape: Hashable, Sendable {
  public let dimensions: [Int]

  /// Nil when an axis is negative, or the product of all that are not zero exceeds 2^59: so that rows, columns and their
  /// bytes in any format fit an integer, too.
  public init?(_ dimensions: [Int]) {
    guard Self.product(dimensions) != nil else { return nil }
    self.dimensions = dimensions
  }

  private init(checked dimensions: [Int]) { self.dimensions = dimensions }

  public static func matrix(rows: Int, columns: Int) -> Shape {
    precondition(product([rows, columns]) != nil, "negative or huge matrix")
    return Shape(checked: [rows, columns])
  }

  public static func vector(_ count: Int) -> Shape {
    precondition(count >= 0, "negative vector")
    return Shape(checked: [count])
  }

  public var elementCount: Int { dimensions.reduce(1, *) }
  /// The contiguous axis; 1 for a scalar.
  public var columns: Int { dimensions.last ?? 1 }
  /// All axes but the contiguous one, multiplied.
  public var rows: Int { dimensions.dropLast().reduce(1, *) }

  private static func product(_ dimensions: [Int]) -> Int? {
    var result = 1
    for dimension in dimensions {
      let (product, overflow) = result.multipliedReportingOverflow(by: max(1, dimension))
      if overflow || dimension < 0 || product > 1 << 59 { return nil }
      result = product
    }
    return result
  }
}

extension Shape: CustomStringConvertible {
  public var description: String { "[" + dimensions.map(String.init).joined(separator: ", ") + "]" }
}
