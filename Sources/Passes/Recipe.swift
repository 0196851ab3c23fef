public import Bytes
public import Catalog
public import IR

/// A named rule for choosing formats (Formats/Recipes): first matching rule wins.
public struct Recipe: Sendable {
  /// What a rule's tensor must be.
  enum Target: String, Sendable {
    /// The matrix that turns the last state into logits: `output.weight`, or a tied `token_embd.weight`.
    case head
    /// `token_embd.weight` when it is not the head too.
    case embedding
    /// Every other matrix.
    case matrix
  }

  public let name: String
  public let summary: String
  /// `general.file_type` of a GGUF written by this recipe, as `llama.h` numbers them.
  public let ggufFileType: Int
  private let formats: [(target: Target, preferences: [BlockFormat])]

  init(parsing bytes: [UInt8], file: String) throws(DescriptorError) {
    guard let json = try? JSONValue.parse(bytes), let root = json.object else {
      throw .invalid(file: file, key: "object")
    }
    guard let name = root["recipe"]?.string, let summary = root["describes"]?.string else {
      throw .invalid(file: file, key: "recipe")
    }
    guard let fileType = root["fileType"]?.int else { throw .invalid(file: file, key: "fileType") }
    self.name = name.text
    self.summary = summary.text
    ggufFileType = fileType
    var formats: [(Target, [BlockFormat])] = []
    for member in root["formats"]?.object?.members ?? [] {
      guard let target = Target(rawValue: member.key.text), let names = member.value.array else {
        throw .invalid(file: file, key: member.key.text)
      }
      var preferences: [BlockFormat] = []
      for name in names {
        guard let format = name.string.flatMap({ BlockFormat.named($0.text) }) else {
          throw .invalid(file: file, key: member.key.text)
        }
        preferences.append(format)
      }
      formats.append((target, preferences))
    }
    self.formats = formats
  }

  /// The recipe whose every matrix is one format: what `--recipe q5_1` means without a file.
  public init(uniform format: BlockFormat, fileType: Int) {
    name = format.name.lowercased()
    summary = "every matrix as \(format.name)"
    ggufFileType = fileType
    formats = [(.head, [format]), (.embedding, [format]), (.matrix, [format])]
  }

  /// - Parameter overrides: patterns over canonical names with the format they demand; the first match wins over the recipe.
  /// - Throws: when an override asks for blocks that do not fit the tensor's rows.
  public func plan(for model: Model, overrides: [FormatOverride] = []) throws(PassError) -> QuantizationPlan {
    let headIsTied = model["output.weight"] == nil
    var steps: [QuantizationPlan.Step] = []
    for tensor in model.tensors {
      var (format, reason) = choice(for: tensor, headIsTied: headIsTied)
      if let override = overrides.first(where: { $0.matches(tensor.name) }),
        override.applies(to: tensor)
      {
        guard override.format.byteCount(elements: tensor.shape.columns) != nil else {
          throw PassError(
            pass: "plan", tensor: tensor.name,
            problem: "rows of \(tensor.shape.columns) do not fill \(override.format.name) blocks")
        }
        (format, reason) = (override.format, "--tensor \(override.pattern)")
      }
      steps.append(.init(name: tensor.name, shape: tensor.shape, from: tensor.format, to: format, reason: reason))
    }
    return QuantizationPlan(steps: steps)
  }

  private func choice(for tensor: TensorRef, headIsTied: Bool) -> (BlockFormat, String) {
    guard tensor.format.kind != .integer else { return (tensor.format, "integers stay") }
    guard tensor.shape.dimensions.count > 1 else { return (.f32, "vectors stay F32") }
    let isEmbedding = tensor.name == "token_embd.weight"
    let target: Target =
      tensor.name == "output.weight" || (isEmbedding && headIsTied) ? .head : isEmbedding ? .embedding : .matrix
    let preferences = formats.first { $0.target == target }?.preferences ?? []
    for (position, format) in preferences.enumerated() where format.byteCount(elements: tensor.shape.columns) != nil {
      return (format, position == 0 ? target.rawValue : "\(target.rawValue), rows of \(tensor.shape.columns)")
    }
    return (.f16, "rows of \(tensor.shape.columns) fill no block")
  }
}

/// `--tensor 'PATTERN=TYPE'`: a regular expression searched in canonical names.
public struct FormatOverride: Sendable {
  public let pattern: String
  public let format: BlockFormat

  /// Nil when the text has no `=`, the pattern is no regular expression, or the type is unknown.
  public init?(_ text: String) {
    guard let equals = text.lastIndex(of: "="),
      let format = BlockFormat.named(String(text[text.index(after: equals)...])),
      (try? Regex(String(text[..<equals]))) != nil
    else { return nil }
    pattern = String(text[..<equals])
    self.format = format
  }

  /// Whether the tensor may take the format: runtimes read norms and biases as floats, and integers are no weights.
  public func applies(to tensor: TensorRef) -> Bool {
    tensor.format.kind != .integer && (tensor.shape.dimensions.count > 1 || format.kind != .packed)
  }

  /// Whether the pattern is found in the name.
  public func matches(_ name: ByteString) -> Bool {
    guard let expression = try? Regex(pattern) else { return false }
    return name.text.firstMatch(of: expression) != nil
  }
}

/// The recipes by name.
public struct RecipeBook: Sendable {
  public let recipes: [Recipe]

  public init() throws(DescriptorError) {
    var recipes: [Recipe] = []
    for file in FormatFiles.all(in: "Recipes/") { recipes.append(try Recipe(parsing: file.bytes, file: file.path)) }
    self.recipes = recipes
  }

  public subscript(name: String) -> Recipe? { recipes.first { $0.name == name.lowercased() } }
  public var names: [String] { recipes.map(\.name) }
}
