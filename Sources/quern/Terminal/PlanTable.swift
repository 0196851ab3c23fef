import Passes

/// Plans for people.
enum PlanTable {
  /// A line per tensor.
  static func full(of plan: QuantizationPlan) -> String {
    var table = Table([
      .init(title: "tensor", isFlexible: true), .init(title: "shape"), .init(title: "from"), .init(title: "to"),
      .init(title: "because"),
    ])
    for step in plan.steps {
      table.add(step.name.text, "\(step.shape)", step.from.name, stored(step, plan), step.reason)
    }
    return table.text() + "\n\n" + total(plan)
  }

  /// A line per type.
  static func summary(of plan: QuantizationPlan) -> String {
    var table = Table([
      .init(title: "plan"), .init(title: "tensors", alignsRight: true), .init(title: "bytes", alignsRight: true),
      .init(title: "because", isFlexible: true),
    ])
    var types: [String] = []
    for step in plan.steps where !types.contains(stored(step, plan)) { types.append(stored(step, plan)) }
    for type in types {
      let group = plan.steps.filter { stored($0, plan) == type }
      var reasons: [String] = []
      for step in group where !reasons.contains(step.reason) { reasons.append(step.reason) }
      table.add(
        type, "\(group.count)", Format.bytes(group.reduce(0) { $0 + plan.byteCount(of: $1) }),
        reasons.prefix(3).joined(separator: "; ") + (reasons.count > 3 ? "; …" : ""))
    }
    return table.text() + "\n" + total(plan)
  }

  static func stored(_ step: QuantizationPlan.Step, _ plan: QuantizationPlan) -> String {
    step.isPacked ? plan.packing?.label ?? step.to.name : step.to.name
  }

  private static func total(_ plan: QuantizationPlan) -> String {
    "\(Format.bytes(plan.byteCount)) of tensors, \(Format.fixed(plan.bitsPerWeight, 2)) bits per weight"
  }
}
