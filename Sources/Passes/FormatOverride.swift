public import Bytes
public import IR

/// `--tensor 'PATTERN=TYPE'`: a regular expression searched in canonical names.
public struct FormatOverride: @unchecked Sendable {
  public let pattern: String
  public let format: BlockFormat
  /// Compiled once; only ever searched with, so sharing it is safe.
  private let expression: Regex<AnyRegexOutput>

  /// Nil when the text has no `=`, the pattern is no regular expression, or the type is unknown.
  public init?(_ text: String) {
    guard let equals = text.lastIndex(of: "="),
      let format = BlockFormat.named(String(text[text.index(after: equals)...])),
      let expression = try? Regex(String(text[..<equals]))
    else { return nil }
    self.expression = expression
    pattern = String(text[..<equals])
    self.format = format
  }

  /// Whether the tensor may take the format: runtimes read norms and biases as floats, and integers are no weights.
  public func applies(to tensor: TensorRef) -> Bool {
    tensor.format.kind != .integer && (tensor.shape.dimensions.count > 1 || format.kind != .packed)
  }

  /// Whether the pattern is found in the name.
  public func matches(_ name: ByteString) -> Bool { name.text.firstMatch(of: expression) != nil }
}

extension QuantizationPlan {
  /// Gives tensors that a pattern finds its format; the first pattern that does wins.
  ///
  /// - Throws: when the format's blocks do not fit the tensor's rows.
  public mutating func apply(_ overrides: [FormatOverride], to model: Model) throws(PassError) {
    for index in steps.indices {
      guard let tensor = model[steps[index].name], let override = overrides.first(where: { $0.matches(tensor.name) }),
        override.applies(to: tensor)
      else { continue }
      guard override.format.byteCount(elements: tensor.shape.columns) != nil else {
        throw PassError(
          pass: "plan", tensor: tensor.name,
          problem: "rows of \(tensor.shape.columns) do not fill \(override.format.name) blocks")
      }
      steps[index].to = override.format
      steps[index].isPacked = false
      steps[index].reason = "--tensor \(override.pattern)"
    }
  }
}
