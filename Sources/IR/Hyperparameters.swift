/// A model's dimensions and options under canonical names: GGUF's keys without the architecture's prefix
/// (`attention.head_count`), extended in the same style.
public struct Hyperparameters: Hashable, Sendable {
  public enum Value: Hashable, Sendable {
    case integer(Int)
    case number(Double)
    case bool(Bool)
    case string(String)
    case integers([Int])
    case numbers([Double])
  }

  public struct Entry: Hashable, Sendable {
    public let name: String
    public var value: Value
  }

  public private(set) var entries: [Entry] = []

  public init() {}

  public subscript(name: String) -> Value? {
    get { entries.first { $0.name == name }?.value }
    set {
      let position = entries.firstIndex { $0.name == name }
      switch (position, newValue) {
      case (let position?, let value?): entries[position].value = value
      case (nil, let value?): entries.append(Entry(name: name, value: value))
      case (let position?, nil): entries.remove(at: position)
      case (nil, nil): break
      }
    }
  }

  public func integer(_ name: String) -> Int? { if case .integer(let value) = self[name] { value } else { nil } }
  public func bool(_ name: String) -> Bool? { if case .bool(let value) = self[name] { value } else { nil } }
  public func string(_ name: String) -> String? { if case .string(let value) = self[name] { value } else { nil } }
  /// A number, or an integer as one.
  public func number(_ name: String) -> Double? {
    switch self[name] {
    case .number(let value): value
    case .integer(let value): Double(value)
    default: nil
    }
  }
}
