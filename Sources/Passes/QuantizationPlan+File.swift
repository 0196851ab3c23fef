public import Bytes
public import IR

/// Why a saved plan cannot be followed.
public enum PlanError: Error, Hashable, Sendable, CustomStringConvertible {
  case notJSON(String)
  case missing(key: String)
  /// A tensor's line that says something impossible.
  case invalid(tensor: ByteString, reason: String)
  /// Tensors of the model that the plan leaves out, and lines about tensors that the model lacks.
  case doesNotFit(missing: [ByteString], unexpected: [ByteString])

  public var description: String {
    switch self {
    case .notJSON(let reason): "not JSON: \(reason)"
    case .missing(let key): "'\(key)' is missing or of the wrong kind; a plan is what --save-plan writes"
    case .invalid(let tensor, let reason): "tensor \(tensor): \(reason)"
    case .doesNotFit(let missing, let unexpected):
      "the plan is not this model's:" + Self.list(" it leaves out ", missing) + Self.list(" it names ", unexpected)
    }
  }

  private static func list(_ words: String, _ names: [ByteString]) -> String {
    names.isEmpty
      ? "" : words + names.prefix(5).map(\.text).joined(separator: ", ") + (names.count > 5 ? " and others" : "")
  }
}

/// Saved plans: one line per tensor, to be edited by hand.
///
///     {
///       "plan": 1,
///       "recipe": "q4_k_m",
///       "fileType": 15,
///       "tensors": [
///         {"name": "blk.0.attn_v.weight", "shape": [64, 256], "from": "F16", "type": "Q6_K", "because": "value, …"},
///
/// Only `name` and `type` are needed; `method` chooses how blocks are found; the rest is for people.
extension QuantizationPlan {
  public func serialized() -> [UInt8] {
    var head = JSONObject()
    head["plan"] = .integer(1)
    if let recipe { head["recipe"] = .text(recipe) }
    if let ggufFileType { head["fileType"] = .integer(ggufFileType) }
    if let packing {
      head["packing"] = .object([
        "method": .text(packing.method.rawValue), "groupSize": .integer(packing.groupSize),
      ])
    }
    var text = "{\n"
    for member in head.members {
      text += "  \"\(member.key)\": \(String(decoding: member.value.serialized(), as: UTF8.self)),\n"
    }
    let lines = steps.map { step in
      var line: JSONObject = [
        "name": .string(step.name), "shape": .array(step.shape.dimensions.map { .integer($0) }),
        "from": .text(step.from.name), "type": .text(step.to.name),
      ]
      line["method"] = step.method.map { .text($0.rawValue) }
      if step.isPacked { line["packed"] = .bool(true) }
      line["because"] = .text(step.reason)
      return "    " + String(decoding: JSONValue.object(line).serialized(), as: UTF8.self)
    }
    text += "  \"tensors\": [\n" + lines.joined(separator: ",\n") + "\n  ]\n}\n"
    return Array(text.utf8)
  }

  /// Reads a saved plan for a model: every tensor must have its line, in any order.
  public init(parsing bytes: [UInt8], for model: Model) throws(PlanError) {
    let root: JSONObject
    do {
      guard let object = try JSONValue.parse(bytes).object else { throw PlanError.missing(key: "tensors") }
      root = object
    } catch let error as PlanError {
      throw error
    } catch {
      throw .notJSON("\(error)")
    }
    guard let rows = root["tensors"]?.array else { throw .missing(key: "tensors") }
    guard root["plan"]?.int == 1 else { throw .missing(key: "plan") }
    var lines: [ByteString: JSONObject] = [:]
    for row in rows {
      guard let line = row.object, let name = line["name"]?.string else { throw .missing(key: "name") }
      guard lines.updateValue(line, forKey: name) == nil else { throw .invalid(tensor: name, reason: "stands twice") }
    }
    let missing = model.tensors.map(\.name).filter { lines[$0] == nil }
    let unexpected = lines.keys.filter { model[$0] == nil }.sorted()
    guard missing.isEmpty, unexpected.isEmpty else { throw .doesNotFit(missing: missing, unexpected: unexpected) }
    var packing: PackingScheme?
    if let object = root["packing"] {
      guard let method = object["method"]?.string.flatMap({ PackingScheme.Method(rawValue: $0.text) }),
        let size = object["groupSize"]?.int, [0, 32, 64, 128].contains(size)
      else { throw .missing(key: "packing") }
      packing = PackingScheme(method: method, groupSize: size)
    }
    var steps: [Step] = []
    for tensor in model.tensors {
      guard let line = lines[tensor.name] else { continue }
      var step = try Self.step(for: tensor, line)
      if line["packed"]?.bool == true {
        guard packing?.fits(tensor.shape) == true, step.to.kind == .float else {
          throw .invalid(tensor: tensor.name, reason: "cannot be packed as the plan says")
        }
        step.isPacked = true
      }
      steps.append(step)
    }
    self.init(
      recipe: root["recipe"]?.string?.text, ggufFileType: root["fileType"]?.int, packing: packing, steps: steps)
  }

  private static func step(for tensor: TensorRef, _ line: JSONObject) throws(PlanError) -> Step {
    func refusal(_ reason: String) -> PlanError { .invalid(tensor: tensor.name, reason: reason) }
    guard let type = line["type"]?.string?.text, let format = BlockFormat.named(type) else {
      throw refusal("'type' is missing or no type that there is")
    }
    if let shape = line["shape"]?.array?.compactMap(\.int), shape != tensor.shape.dimensions {
      throw refusal("the plan has it as \(shape), the model as \(tensor.shape)")
    }
    guard format == tensor.format || tensor.format.kind != .integer else { throw refusal("integers stay as they are") }
    guard tensor.shape.dimensions.count > 1 || format.kind != .packed else {
      throw refusal("runtimes read vectors as floats, not as \(format.name)")
    }
    guard format.byteCount(elements: tensor.shape.columns) != nil else {
      throw refusal("rows of \(tensor.shape.columns) do not fill \(format.name) blocks of \(format.elementsPerBlock)")
    }
    var method: Method?
    if let text = line["method"] {
      guard let known = text.string.flatMap({ Method(rawValue: $0.text) }) else {
        let methods = Method.allCases.map(\.rawValue).joined(separator: ", ")
        throw refusal("'method' is none of: \(methods)")
      }
      method = known
    }
    return Step(
      name: tensor.name, shape: tensor.shape, from: tensor.format, to: format, method: method,
      reason: line["because"]?.string?.text ?? "the plan")
  }
}
