internal import Bytes
import IR

/// A step from a tensor as a container stores it to the canonical one. Lazy: nothing is read.
enum TensorTransform: Hashable, Sendable {
  /// Axes exchanged; more than two axes count as [first, all others]. GPT-2's `Conv1D` weights are [in, out].
  case transpose
  /// Rows `start ..< start + count` of every `group`: parts of fused projections.
  case rows(group: Expression, start: Expression, count: Expression)
  /// Rows [outer, inner, …] become [inner, outer, …], `size` rows staying together: GPT-NeoX keeps query, key and value of
  /// each head together (outer: heads, inner: 3, size: head length).
  case regroup(outer: Expression, inner: Expression, size: Expression)
  /// Matrices of `rows` rows, each with its axes exchanged: DeepSeek's key half of `kv_b_proj`.
  case transposeEach(rows: Expression)
  /// Plus a constant, as F32: Gemma's norms, which files of Hugging Face store less one.
  case add(Int)

  init(_ json: JSONValue, problem: DescriptorError) throws(DescriptorError) {
    func expression(_ value: JSONValue?) throws(DescriptorError) -> Expression {
      if let number = value?.int, let parsed = Expression(String(number)) { return parsed }
      guard let text = value?.string?.text, let parsed = Expression(text) else { throw problem }
      return parsed
    }
    if json.string?.text == "transpose" {
      self = .transpose
    } else if let parts = json["rows"]?.array, parts.count == 3 {
      self = .rows(
        group: try expression(parts[0]), start: try expression(parts[1]), count: try expression(parts[2]))
    } else if let parts = json["regroup"]?.array, parts.count == 3 {
      self = .regroup(
        outer: try expression(parts[0]), inner: try expression(parts[1]), size: try expression(parts[2]))
    } else if let rows = json["transposeEach"] {
      self = .transposeEach(rows: try expression(rows))
    } else if let shift = json["add"]?.int {
      self = .add(shift)
    } else {
      throw problem
    }
  }

  /// The transform with its numbers filled in; nil when one has no value or none that makes sense.
  func resolved(_ lookup: (String) -> Int?) -> Resolved? {
    func positive(_ expression: Expression) -> Int? {
      guard let value = expression.value(lookup), value > 0, value <= 1 << 40 else { return nil }
      return value
    }
    switch self {
    case .transpose: return .transpose
    case .rows(let group, let start, let count):
      guard let group = positive(group), let count = positive(count), let start = start.value(lookup), start >= 0,
        start <= group - count
      else { return nil }
      return .rows(group: group, start: start, count: count)
    case .regroup(let outer, let inner, let size):
      guard let outer = positive(outer), let inner = positive(inner), let size = positive(size) else { return nil }
      return .regroup(outer: outer, inner: inner, size: size)
    case .transposeEach(let rows): return positive(rows).map { .transposeEach(rows: $0) }
    case .add(let shift): return .add(Float(shift))
    }
  }

  /// The same with numbers for symbols.
  enum Resolved: Hashable, Sendable {
    case transpose
    case rows(group: Int, start: Int, count: Int)
    case regroup(outer: Int, inner: Int, size: Int)
    case transposeEach(rows: Int)
    case add(Float)

    /// The shape before this step, given the one after it; nil when they cannot go together.
    func shape(before after: Shape) -> Shape? {
      let dimensions = after.dimensions
      switch self {
      case .transpose:
        guard dimensions.count >= 2 else { return nil }
        return Shape([after.columns, after.rows])
      case .rows(let group, _, let count):
        let isVector = dimensions.count == 1
        let rows = isVector ? dimensions[0] : after.rows
        guard rows % count == 0 else { return nil }
        let (whole, overflow) = (rows / count).multipliedReportingOverflow(by: group)
        return overflow ? nil : Shape(isVector ? [whole] : [whole, after.columns])
      case .regroup(let outer, let inner, let size):
        guard (dimensions.count == 1 ? dimensions[0] : after.rows) % (outer * inner * size) == 0 else { return nil }
        return after
      case .transposeEach(let rows):
        let (product, overflow) = after.rows.multipliedReportingOverflow(by: after.columns)
        guard !overflow, after.columns == rows, after.rows > 0, let last = dimensions.dropLast().last, last > 0
        else { return nil }
        return Shape([product / last, last])
      case .add: return after
      }
    }

    /// What the tensor's format is afterwards.
    var makesFloats: Bool { if case .add = self { true } else { false } }

    func apply(to tensor: TensorRef, cache: PanelCache) -> TensorRef {
      var result = tensor
      let isVector = tensor.shape.dimensions.count == 1
      switch self {
      case .transpose:
        // XLNet's [width, heads, length].
        let first = max(1, tensor.shape.dimensions[0])
        result.shape = .matrix(rows: first, columns: tensor.shape.elementCount / first)
        return result.transposed(cache)
      case .rows(let group, let start, let count):
        if isVector {
          result.shape = .vector(tensor.shape.columns / group * count)
          result.source = SelectedElements(tensor, group: group, start: start, count: count)
        } else {
          result.shape = .matrix(rows: tensor.shape.rows / group * count, columns: tensor.shape.columns)
          result.source = SelectedRows(tensor, group: group, start: start, count: count)
        }
      case .regroup(let outer, let inner, let size):
        // Row (i, o, s) of the result is row (o, i, s) of the base.
        let order = (0..<inner).flatMap { i in
          (0..<outer).flatMap { o in (0..<size).map { (o * inner + i) * size + $0 } }
        }
        result.source =
          isVector
          ? ElementPermutation(tensor.source, order: order, elementByteCount: tensor.format.bytesPerBlock)
          : RowPermutation(tensor.source, order: order, rowByteCount: tensor.rowByteCount)
      case .transposeEach(let rows):
        result.shape = .matrix(rows: tensor.shape.rows / rows * tensor.shape.columns, columns: rows)
        result.source = TransposedGroups(tensor, rowsPerMatrix: rows)
        return result.paneled(cache)
      case .add(let shift):
        result.format = .f32
        result.source = ShiftedSource(tensor, by: shift)
      }
      return result
    }

    /// The step back from a tensor of shape `after`. `rows` has none alone: its tensor is put together from all parts.
    func inverse(after: Shape) -> Resolved {
      switch self {
      case .transpose, .rows: self
      case .regroup(let outer, let inner, let size): .regroup(outer: inner, inner: outer, size: size)
      case .transposeEach: .transposeEach(rows: max(1, after.dimensions.dropLast().last ?? 1))
      case .add(let shift): .add(-shift)
      }
    }
  }
}
