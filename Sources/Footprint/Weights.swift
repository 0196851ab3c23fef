internal import IR

/// Weights by role and type, every row padded to whole blocks.
/// - Parameter rowMultiple: matrices' rows are padded to a multiple of it (panels of a repacked layout); 1 for files.
/// - Parameter vectors: what norms and biases are held as; nil for the file's own type.
func weightItems(
  of model: ModelShape, rowMultiple: Int = 1, vectors: WeightEncoding? = nil
) throws(FootprintError) -> [FootprintItem] {
  var items: [FootprintItem] = []
  for role in ModelShape.Tensor.Role.allCases {
    var order: [WeightEncoding] = []
    var sums: [WeightEncoding: (tensors: Int, elements: Int, bytes: Formula)] = [:]
    for tensor in model.tensors where tensor.role == role {
      let encoding = role == .vectors ? vectors ?? tensor.encoding : tensor.encoding
      let rows = Formula("rows", tensor.shape.rows).roundedUp(to: role == .vectors ? 1 : rowMultiple)
      let formula = encoding.formula(rows: rows, columns: tensor.shape.columns)
      if sums[encoding] == nil { order.append(encoding) }
      let sum = sums[encoding, default: (0, 0, 0)]
      guard let bytes = formula.value, let total = (sum.bytes + Formula("", bytes)).value else {
        throw .tooLarge(item: "\(tensor.name)", formula: "\(formula)")
      }
      sums[encoding] = (sum.tensors + 1, sum.elements + tensor.shape.elementCount, Formula("bytes", total))
    }
    for encoding in order {
      guard let sum = sums[encoding] else { continue }
      items.append(try weightItem(role, encoding, sum, padded: rowMultiple > 1 && role != .vectors))
    }
  }
  return items
}

/// When blocks divide the rows, the formula is elements ÷ block × bytes; else what padding adds is named.
private func weightItem(
  _ role: ModelShape.Tensor.Role, _ encoding: WeightEncoding, _ sum: (tensors: Int, elements: Int, bytes: Formula),
  padded: Bool
) throws(FootprintError) -> FootprintItem {
  let plural = sum.tensors == 1 ? "1 tensor" : "\(sum.tensors) tensors"
  let elements = Formula("elements of \(plural)", sum.elements)
  let blocks = elements.divided(by: encoding.elementsPerBlock)
  let ideal = (encoding.elementsPerBlock == 1 ? elements : blocks) * Formula("\(encoding.name) bytes", encoding.bytesPerBlock)
  guard let bytes = sum.bytes.value, let idealBytes = ideal.value, bytes >= idealBytes else {
    return try FootprintItem(.weights, "\(role.rawValue) \(encoding.name)", sum.bytes)
  }
  let rest = encoding.bytesPerRow > 0 ? "row scales" : padded ? "padding of rows and panels" : "padding of rows"
  let formula = bytes == idealBytes ? ideal : ideal + Formula(rest, bytes - idealBytes)
  return try FootprintItem(.weights, "\(role.rawValue) \(encoding.name)", formula)
}
