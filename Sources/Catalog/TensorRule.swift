public import Bytes
public import IR

/// One tensor of a family (or one per layer): its names, shape in symbols, and when it exists.
public struct TensorRule: Sendable {
  /// Canonical, which is GGUF's; `{layer}` stands for the layer's number.
  public let name: NamePattern
  public let huggingFace: [NamePattern]
  let shape: [Expression]
  /// Rows are heads with rotary positions: containers differ in their order.
  public let hasRotaryHeads: Bool
  /// The boolean hyperparameter that must be true, or false.
  let when: String?
  let unless: String?

  init(_ json: JSONObject, in file: String) throws(DescriptorError) {
    let reader = DescriptorReader(json, in: file)
    name = NamePattern(try reader.text("name"))
    huggingFace = (try reader.texts("huggingFace") ?? []).map { NamePattern($0) }
    var shape: [Expression] = []
    for text in try reader.texts("shape") ?? [] {
      guard let expression = Expression(text) else { throw reader.problem("shape") }
      shape.append(expression)
    }
    self.shape = shape
    hasRotaryHeads = json["rotaryHeads"]?.bool ?? false
    when = json["when"]?.string?.text
    unless = json["unless"]?.string?.text
  }

  public func exists(in hyperparameters: Hyperparameters) -> Bool {
    if let when, hyperparameters.bool(when) != true { return false }
    if let unless, hyperparameters.bool(unless) == true { return false }
    return true
  }

  /// Nil when a symbol has no value or a dimension would be negative.
  public func shape(in hyperparameters: Hyperparameters) -> Shape? {
    var dimensions: [Int] = []
    for expression in shape {
      guard let value = expression.value({ hyperparameters.integer($0) }) else { return nil }
      dimensions.append(value)
    }
    return Shape(dimensions)
  }
}

/// A tensor name that may hold `{layer}`.
public struct NamePattern: Hashable, Sendable {
  private let before: [UInt8]
  /// Nil when the pattern is a plain name.
  private let after: [UInt8]?

  package init(_ text: String) {
    if let range = text.firstRange(of: "{layer}") {
      before = Array(text[..<range.lowerBound].utf8)
      after = Array(text[range.upperBound...].utf8)
    } else {
      before = Array(text.utf8)
      after = nil
    }
  }

  public var isPerLayer: Bool { after != nil }

  public func name(layer: Int) -> ByteString {
    guard let after else { return ByteString(bytes: before) }
    return ByteString(bytes: before + Array(String(layer).utf8) + after)
  }

  public func matches(_ name: ByteString) -> Bool {
    guard let after else { return name.bytes == before }
    guard name.count > before.count + after.count, name.bytes.starts(with: before) else { return false }
    let middle = name.bytes[before.count..<name.count - after.count]
    return name.bytes.suffix(after.count).elementsEqual(after)
      && middle.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
  }
}
