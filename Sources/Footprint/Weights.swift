internal import IR

/// Weights by role and type: blocks × bytes per block, rows padded to whole blocks.
/// - Parameter rowMultiple: matrices' rows are padded to a multiple of it (panels of a repacked layout); 1 for files.
/// - Parameter vectorFormat: what norms and biases are held as; nil for the file's own type.
func weightItems(
  of model: ModelShape, rowMultiple: Int = 1, vectorFormat: BlockFormat? = nil
) throws(FootprintError) -> [FootprintItem] {
  var items: [FootprintItem] = []
  for role in ModelShape.Tensor.Role.allCases {
    var formats: [BlockFormat] = []
    var totals: [BlockFormat: (tensors: Int, elements: Int, blocks: Formula)] = [:]
    for tensor in model.tensors where tensor.role == role {
      let format = role == .vectors ? vectorFormat ?? tensor.format : tensor.format
      let multiple = role == .vectors ? 1 : rowMultiple
      let rows = Formula("rows", tensor.shape.rows).roundedUp(to: multiple)
      let blocks = rows * Formula("columns", tensor.shape.columns).divided(by: format.elementsPerBlock)
      guard let count = blocks.value, let sum = (totals[format, default: (0, 0, 0)].blocks + Formula("blocks", count)).value
      else { throw .tooLarge(item: "\(tensor.name)", formula: "\(blocks)") }
      if totals[format] == nil { formats.append(format) }
      totals[format, default: (0, 0, 0)].tensors += 1
      totals[format]?.elements += tensor.shape.elementCount
      totals[format]?.blocks = Formula("blocks", sum)
    }
    for format in formats {
      guard let total = totals[format] else { continue }
      let unit = Formula("\(format.name) bytes", format.bytesPerBlock)
      items.append(try FootprintItem(.weights, "\(role.rawValue) \(format.name)", total.blocks * unit))
    }
  }
  return items
}
