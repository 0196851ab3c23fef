import CKernels

/// The input of one or more products, [tokens, columns], kept in the arrangement the kernels want.
///
/// Set it once, multiply it with several matrices (query, key, value; gate, up): it is transposed into groups or
/// rounded to int8 at most once each. Not for use from several threads at once.
@safe public final class ProductInput {
  private let capacity: Int
  private var source: Matrix?
  private var floats: Buffer?
  private var codes: Buffer?
  private var floatsAreCurrent = false
  private var codesAreCurrent = false

  /// Sees the input of every product, with the matrices that it is multiplied with, before that happens; after it has
  /// returned false, nothing is computed any more until another one is set.
  public var observer: ((Matrix, [WeightMatrix]) -> Bool)? { didSet { isStopped = false } }
  private var isStopped = false

  /// Whether the products are to be computed.
  func announce(_ weights: @autoclosure () -> [WeightMatrix]) -> Bool {
    guard let observer else { return true }
    if !isStopped { isStopped = !observer(matrix, weights()) }
    return !isStopped
  }

  /// Room for `tokens` · `columns` elements at most (allocated when first needed).
  public init(tokens: Int, columns: Int) {
    capacity = tokens * columns
  }

  /// Names the input of the products to come; its values are read by the next `multiply`, and it must not change
  /// until the last product with it.
  public func set(_ x: Matrix) {
    precondition(x.rows * x.columns <= capacity, "more than the input has room for")
    source = x
    floatsAreCurrent = false
    codesAreCurrent = false
  }

  var matrix: Matrix {
    guard let source else { preconditionFailure("the input was not set") }
    return source
  }

  /// The arrangement for float or for int8 products, made now if it is not there yet.
  func arranged(asInt8: Bool, by processor: Processor) -> UnsafeMutableRawPointer {
    let x = matrix
    let math = processor.kernels.math
    let tile = asInt8 ? math.int8Tile : math.tile
    let tasks = (x.rows + tile - 1) / tile
    if asInt8 {
      precondition(x.columns % 32 == 0)
      let buffer = codes ?? Buffer(byteCount: (capacity + 31) / 32 * Int(QUERN_INPUT_BLOCK_BYTES))
      codes = buffer
      if !codesAreCurrent {
        unsafe processor.pool.run(math.prepareInt8, arguments(x, buffer), tasks: tasks)
      }
      codesAreCurrent = true
      return unsafe buffer.base
    }
    // One token is its own group.
    if x.rows == 1 { return unsafe UnsafeMutableRawPointer(x.base) }
    let buffer = floats ?? Buffer(byteCount: capacity * 4)
    floats = buffer
    if !floatsAreCurrent {
      unsafe processor.pool.run(math.prepareFloats, arguments(x, buffer), tasks: tasks)
    }
    floatsAreCurrent = true
    return unsafe buffer.base
  }

  private func arguments(_ x: Matrix, _ buffer: Buffer) -> quern_input {
    unsafe quern_input(x: x.base, xStride: x.stride, tokens: x.rows, columns: x.columns, out: buffer.base)
  }
}
