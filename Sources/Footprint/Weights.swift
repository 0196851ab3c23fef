internal import IR

/// Weights by role and type.
/// - Parameter bytes: of one tensor in memory; nil for its own rows, padded to whole blocks. It must not be less.
/// - Parameter vectors: what norms and biases are held as; nil for the file's own type.
func weightItems(
  of model: ModelShape, vectors: WeightEncoding? = nil, bytes: ((ModelShape.Tensor) -> Formula)? = nil
) throws(FootprintError) -> [FootprintItem] {
  var items: [FootprintItem] = []
  for role in ModelShape.Tensor.Role.allCases {
    var order: [WeightEncoding] = []
    var sums: [WeightEncoding: WeightSum] = [:]
    for tensor in model.tensors where tensor.role == role {
      let encoding = role == .vectors ? vectors ?? tensor.encoding : tensor.encoding
      let ours = role == .vectors ? nil : bytes?(tensor)
      let isOwn = ours == nil && encoding == tensor.encoding
      let formula =
        ours
        ?? (isOwn ? nil : encoding.formula(rows: Formula("rows", tensor.shape.rows), columns: tensor.shape.columns))
      if sums[encoding] == nil { order.append(encoding) }
      var sum = sums[encoding] ?? WeightSum()
      guard let count = isOwn ? tensor.byteCount : formula?.value, sum.add(tensor, bytes: count) else {
        throw .tooLarge(item: "\(tensor.name)", formula: "\(tensor.shape) in \(encoding.name)")
      }
      sums[encoding] = sum
    }
    for encoding in order {
      guard let sum = sums[encoding] else { continue }
      items.append(try FootprintItem(.weights, "\(role.rawValue) \(encoding.name)", sum.formula(encoding)))
    }
  }
  return items
}

/// Tensors of one role in one encoding.
private struct WeightSum {
  var tensors = 0
  var elements = 0
  var bytes = 0

  /// False when the sum does not fit.
  mutating func add(_ tensor: ModelShape.Tensor, bytes count: Int) -> Bool {
    let (sum, overflow) = bytes.addingReportingOverflow(count)
    bytes = sum
    tensors += 1
    elements += tensor.shape.elementCount
    return !overflow
  }

  /// Elements ÷ block × bytes, and what padding adds by its name.
  func formula(_ encoding: WeightEncoding) -> Formula {
    let elements = Formula("elements of \(tensors) tensor\(tensors == 1 ? "" : "s")", elements)
    let blocks = encoding.elementsPerBlock == 1 ? elements : elements.divided(by: encoding.elementsPerBlock)
    let ideal = blocks * Formula("\(encoding.name) bytes", encoding.bytesPerBlock)
    guard let plain = ideal.value, plain != bytes else { return ideal }
    let rest = encoding.rest ?? "padding of rows and buffers"
    return bytes > plain ? ideal + Formula(rest, bytes - plain) : Formula("bytes", bytes)
  }
}
