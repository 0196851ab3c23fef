/// JSON that keeps what the file says: member order, number spelling, strings as bytes.
///
/// Foundation's parser merges keys that are canonically equal, and tokenizer vocabularies contain such pairs.
public indirect enum JSONValue: Hashable, Sendable {
  case null
  case bool(Bool)
  case number(JSONNumber)
  case string(ByteString)
  case array([JSONValue])
  case object(JSONObject)
}

/// A number as it was spelled, read as integer or floating point on demand.
public struct JSONNumber: Hashable, Sendable {
  public let literal: String

  public init(literal: String) { self.literal = literal }
  public init(_ value: Int) { literal = String(value) }
  public init(_ value: Double) {
    precondition(value.isFinite, "JSON has no infinities")
    literal = value == value.rounded() && abs(value) < 1e15 ? String(Int(value)) + ".0" : String(value)
  }

  /// The exact integer, or nil for a fraction, an exponent or one that does not fit.
  public var int: Int? { Int(literal) }
  public var double: Double? { Double(literal) }
}

/// Members in file order, found by key in constant time; no key stands twice.
public struct JSONObject: Hashable, Sendable {
  public private(set) var members: [(key: ByteString, value: JSONValue)] = []
  private var index: [ByteString: Int] = [:]

  public init() {}

  public init(_ members: KeyValuePairs<ByteString, JSONValue>) {
    for (key, value) in members { self[key] = value }
  }

  public var count: Int { members.count }
  public var keys: [ByteString] { members.map(\.key) }

  /// Setting nil removes the member; setting a new key appends it.
  public subscript(key: ByteString) -> JSONValue? {
    get { index[key].map { members[$0].value } }
    set {
      switch (index[key], newValue) {
      case (let position?, let value?): members[position].value = value
      case (nil, let value?):
        index[key] = members.count
        members.append((key, value))
      case (let position?, nil):
        members.remove(at: position)
        index = Dictionary(uniqueKeysWithValues: members.enumerated().map { ($1.key, $0) })
      case (nil, nil): break
      }
    }
  }

  /// Appends unless the key is there already; returns whether it did.
  mutating func insert(_ key: ByteString, _ value: JSONValue) -> Bool {
    guard index.updateValue(members.count, forKey: key) == nil else { return false }
    members.append((key, value))
    return true
  }

  public static func == (a: Self, b: Self) -> Bool {
    a.members.count == b.members.count
      && zip(a.members, b.members).allSatisfy { $0.key == $1.key && $0.value == $1.value }
  }
  public func hash(into hasher: inout Hasher) {
    for member in members {
      hasher.combine(member.key)
      hasher.combine(member.value)
    }
  }
}

extension JSONObject: ExpressibleByDictionaryLiteral {
  public init(dictionaryLiteral members: (ByteString, JSONValue)...) {
    for (key, value) in members { self[key] = value }
  }
}

extension JSONValue {
  public var string: ByteString? { if case .string(let value) = self { value } else { nil } }
  public var bool: Bool? { if case .bool(let value) = self { value } else { nil } }
  public var int: Int? { if case .number(let value) = self { value.int } else { nil } }
  public var double: Double? { if case .number(let value) = self { value.double } else { nil } }
  public var array: [JSONValue]? { if case .array(let value) = self { value } else { nil } }
  public var object: JSONObject? { if case .object(let value) = self { value } else { nil } }
  public var isNull: Bool { self == .null }

  public subscript(key: ByteString) -> JSONValue? { object?[key] }

  public static func integer(_ value: Int) -> JSONValue { .number(JSONNumber(value)) }
  public static func text(_ value: String) -> JSONValue { .string(ByteString(value)) }
}
