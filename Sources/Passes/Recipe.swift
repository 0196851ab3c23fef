public import Bytes
public import Catalog
public import IR

/// A named way of choosing each tensor's format (Formats/Recipes): the first rule that applies wins, then the recipe's
/// own type; where its blocks do not fill the rows, what stands in for it.
public struct Recipe: Sendable {
  public let name: String
  public let summary: String
  /// `general.file_type` of a GGUF written by this recipe, as `llama.h` numbers them.
  public let ggufFileType: Int
  /// Of tensors that no rule names.
  public let format: BlockFormat
  /// How GPU libraries keep the matrices of blocks; nil for block formats.
  public let packing: PackingScheme?
  private let rules: [RecipeRule]
  private let roles: TensorRoles

  init(parsing bytes: [UInt8], file: String, roles: TensorRoles) throws(DescriptorError) {
    guard let json = try? JSONValue.parse(bytes), let root = json.object else {
      throw .invalid(file: file, key: "object")
    }
    guard let name = root["recipe"]?.string, let summary = root["describes"]?.string else {
      throw .invalid(file: file, key: "recipe")
    }
    guard let fileType = root["fileType"]?.int else { throw .invalid(file: file, key: "fileType") }
    guard let format = root["type"]?.string.flatMap({ BlockFormat.named($0.text) }) else {
      throw .invalid(file: file, key: "type")
    }
    guard let rows = root["rules"]?.array else { throw .invalid(file: file, key: "rules") }
    var rules: [RecipeRule] = []
    for row in rows {
      guard let object = row.object else { throw .invalid(file: file, key: "rules") }
      rules.append(try RecipeRule(object, in: file))
    }
    if let object = root["packing"] {
      guard let method = object["method"]?.string.flatMap({ PackingScheme.Method(rawValue: $0.text) }) else {
        throw .invalid(file: file, key: "packing")
      }
      packing = PackingScheme(method: method, groupSize: object["groupSize"]?.int ?? 0)
    } else {
      packing = nil
    }
    self.name = name.text
    self.summary = summary.text
    ggufFileType = fileType
    self.format = format
    self.rules = rules
    self.roles = roles
  }

  /// Whether some recipe may pack the matrix: routers, positions and the like stay as they are.
  public func allowsPacking(_ name: ByteString) -> Bool { roles.allowsPacking(name) }

  /// - Parameters:
  ///   - overrides: patterns over canonical names with the format they demand; the first match wins over the recipe.
  ///   - isCalibrated: whether the columns' importance will be known; some rules of llama.cpp ask.
  /// - Throws: when an override asks for blocks that do not fit the tensor's rows.
  public func plan(
    for model: Model, overrides: [FormatOverride] = [], isCalibrated: Bool = false
  ) throws(PassError) -> QuantizationPlan {
    let subject = RecipeSubject(model, roles: roles, isCalibrated: isCalibrated)
    var steps: [QuantizationPlan.Step] = []
    for tensor in model.tensors {
      let (format, reason) = choice(for: tensor, in: subject)
      steps.append(.init(name: tensor.name, shape: tensor.shape, from: tensor.format, to: format, reason: reason))
    }
    var plan = QuantizationPlan(recipe: name, ggufFileType: ggufFileType, steps: steps)
    if let packing { pack(&plan, packing, subject) }
    try plan.apply(overrides, to: model)
    return plan
  }

  /// The matrices inside blocks are packed; embedding, head and everything delicate stay floats.
  private func pack(_ plan: inout QuantizationPlan, _ packing: PackingScheme, _ subject: RecipeSubject) {
    let candidates = plan.steps.indices.filter { index in
      let step = plan.steps[index]
      return step.name.hasPrefix("blk.") && step.shape.dimensions.count == 2 && roles.allowsPacking(step.name)
        && step.from.kind != .integer
    }
    let fitted = packing.fitted(to: candidates.map { plan.steps[$0].shape })
    plan.packing = fitted
    for index in candidates {
      guard fitted.fits(plan.steps[index].shape) else {
        plan.steps[index].reason = "\(plan.steps[index].shape) does not fit \(fitted.label)"
        continue
      }
      if plan.steps[index].from.kind == .float { plan.steps[index].to = plan.steps[index].from }
      plan.steps[index].isPacked = true
      plan.steps[index].reason = subject[plan.steps[index].name].role ?? "matrix"
    }
  }

  private func choice(for tensor: TensorRef, in subject: RecipeSubject) -> (BlockFormat, String) {
    guard tensor.format.kind != .integer else { return (tensor.format, "integers stay") }
    guard tensor.shape.dimensions.count > 1 else { return (.f32, "vectors stay F32") }
    guard format.kind == .packed else { return (format, "matrix") }
    guard roles.allowsPacking(tensor.name) else { return (tensor.format, "small and delicate: kept") }
    let rule = rules.first { $0.applies(to: tensor, in: subject) }
    let wanted = rule?.format ?? format
    let reason = rule?.reason ?? subject[tensor.name].role ?? "matrix"
    for candidate in [wanted, roles.fallbacks[wanted], .f16].compactMap(\.self)
    where candidate.byteCount(elements: tensor.shape.columns) != nil {
      let columns = tensor.shape.columns
      return (candidate, candidate == wanted ? reason : "\(reason); rows of \(columns) do not fill \(wanted.name)")
    }
    return (.f16, reason)
  }
}

/// The recipes by name.
public struct RecipeBook: Sendable {
  public let recipes: [Recipe]

  public init() throws(DescriptorError) {
    let roles = try TensorRoles()
    var recipes: [Recipe] = []
    for file in FormatFiles.all(in: "Recipes/") {
      recipes.append(try Recipe(parsing: file.bytes, file: file.path, roles: roles))
    }
    self.recipes = recipes
  }

  /// Forgives case, and llama.cpp's short names: `Q4_K` is `q4_k_m`.
  public subscript(name: String) -> Recipe? {
    let name = name.lowercased()
    return recipes.first { $0.name == name }
      ?? (["q3_k", "q4_k", "q5_k"].contains(name) ? recipes.first { $0.name == name + "_m" } : nil)
  }
  public var names: [String] { recipes.map(\.name) }
}
