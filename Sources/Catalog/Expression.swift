/// Integer arithmetic over hyperparameter names, as descriptors use it for shapes, defaults and conditions:
/// `attention.head_count * attention.key_length`, `layer >= leading_dense_block_count`.
///
/// Comparisons are 1 or 0; `&` and `|` take anything but 0 as true.
package struct Expression: Hashable, Sendable {
  package indirect enum Node: Hashable, Sendable {
    case integer(Int)
    case name(String)
    case operation(Operation, Node, Node)
  }

  package enum Operation: String, Hashable, Sendable, CaseIterable {
    case or = "|"
    case and = "&"
    case lessOrEqual = "<="
    case greaterOrEqual = ">="
    case equal = "=="
    case unequal = "!="
    case less = "<"
    case greater = ">"
    case plus = "+"
    case minus = "-"
    case times = "*"
    case divided = "/"
    case remainder = "%"
  }

  package let root: Node

  /// Nil when the text is not an expression. Products bind before sums, those before comparisons, `&` before `|`.
  package init?(_ text: String) {
    var parser = Parser(rest: Substring(text.filter { $0 != " " }))
    guard let node = parser.level(0), parser.rest.isEmpty else { return nil }
    root = node
  }

  /// Nil when a name has no integer, the result does not fit, or a divisor is zero. Division rounds towards zero.
  package func value(_ lookup: (String) -> Int?) -> Int? { Self.value(root, lookup) }

  /// Whether the name occurs.
  package func mentions(_ name: String) -> Bool { Self.mentions(root, name) }

  private static func mentions(_ node: Node, _ name: String) -> Bool {
    switch node {
    case .integer: false
    case .name(let found): found == name
    case .operation(_, let left, let right): mentions(left, name) || mentions(right, name)
    }
  }

  private static func value(_ node: Node, _ lookup: (String) -> Int?) -> Int? {
    switch node {
    case .integer(let value): return value
    case .name(let name): return lookup(name)
    case .operation(let operation, let left, let right):
      guard let a = value(left, lookup), let b = value(right, lookup) else { return nil }
      switch operation {
      case .or: return a != 0 || b != 0 ? 1 : 0
      case .and: return a != 0 && b != 0 ? 1 : 0
      case .lessOrEqual: return a <= b ? 1 : 0
      case .greaterOrEqual: return a >= b ? 1 : 0
      case .equal: return a == b ? 1 : 0
      case .unequal: return a != b ? 1 : 0
      case .less: return a < b ? 1 : 0
      case .greater: return a > b ? 1 : 0
      case .plus: return checked(a.addingReportingOverflow(b))
      case .minus: return checked(a.subtractingReportingOverflow(b))
      case .times: return checked(a.multipliedReportingOverflow(by: b))
      case .divided: return checked(a.dividedReportingOverflow(by: b))
      case .remainder: return checked(a.remainderReportingOverflow(dividingBy: b))
      }
    }
  }

  private static func checked(_ result: (partialValue: Int, overflow: Bool)) -> Int? {
    result.overflow ? nil : result.partialValue
  }

  private struct Parser {
    var rest: Substring

    /// What binds together, loosest first; longer spellings before their beginnings.
    private static let levels: [[Operation]] = [
      [.or], [.and], [.lessOrEqual, .greaterOrEqual, .equal, .unequal, .less, .greater], [.plus, .minus],
      [.times, .divided, .remainder],
    ]

    mutating func level(_ depth: Int) -> Node? {
      guard depth < Self.levels.count else { return factor() }
      guard var left = level(depth + 1) else { return nil }
      while let operation = Self.levels[depth].first(where: { rest.hasPrefix($0.rawValue) }) {
        rest.removeFirst(operation.rawValue.count)
        guard let right = level(depth + 1) else { return nil }
        left = .operation(operation, left, right)
      }
      return left
    }

    mutating func factor() -> Node? {
      if rest.first == "(" {
        rest.removeFirst()
        guard let inner = level(0), rest.first == ")" else { return nil }
        rest.removeFirst()
        return inner
      }
      let word = rest.prefix { $0.isLetter || $0.isNumber || $0 == "_" || $0 == "." }
      guard !word.isEmpty else { return nil }
      rest.removeFirst(word.count)
      return word.allSatisfy(\.isNumber) ? Int(word).map(Node.integer) : .name(String(word))
    }
  }
}
