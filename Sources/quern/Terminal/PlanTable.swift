import IR
import Passes

/// Plans for people.
enum PlanTable {
  /// A line per tensor.
  static func full(of plan: QuantizationPlan) -> String {
    var table = Table([
      .init(title: "tensor", isFlexible: true), .init(title: "shape"), .init(title: "from"), .init(title: "to"),
      .init(title: "because"),
    ])
    for step in plan.steps { table.add(step.name.text, "\(step.shape)", step.from.name, step.to.name, step.reason) }
    return table.text() + "\n\n" + total(plan)
  }

  /// A line per type.
  static func summary(of plan: QuantizationPlan) -> String {
    var table = Table([
      .init(title: "plan"), .init(title: "tensors", alignsRight: true), .init(title: "bytes", alignsRight: true),
      .init(title: "because", isFlexible: true),
    ])
    var formats: [BlockFormat] = []
    for step in plan.steps where !formats.contains(step.to) { formats.append(step.to) }
    for format in formats {
      let group = plan.steps.filter { $0.to == format }
      var reasons: [String] = []
      for step in group where !reasons.contains(step.reason) { reasons.append(step.reason) }
      let bytes = group.reduce(0) { $0 + (format.byteCount(elements: $1.shape.columns) ?? 0) * $1.shape.rows }
      table.add(
        format.name, "\(group.count)", Format.bytes(bytes),
        reasons.prefix(3).joined(separator: "; ") + (reasons.count > 3 ? "; …" : ""))
    }
    return table.text() + "\n" + total(plan)
  }

  private static func total(_ plan: QuantizationPlan) -> String {
    "\(Format.bytes(plan.byteCount)) of tensors, \(Format.fixed(plan.bitsPerWeight, 2)) bits per weight"
  }
}
