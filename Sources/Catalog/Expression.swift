/// Integer arithmetic over hyperparameter names, as descriptors use it for shapes and defaults:
/// `attention.head_count * attention.key_length`, `(rope.dimension_count / 2)`.
package struct Expression: Hashable, Sendable {
  package indirect enum Node: Hashable, Sendable {
    case integer(Int)
    case name(String)
    case operation(Character, Node, Node)
  }

  package let root: Node

  /// Nil when the text is not an expression. Products bind before sums; division rounds down.
  package init?(_ text: String) {
    var parser = Parser(rest: Substring(text.filter { $0 != " " }))
    guard let node = parser.sum(), parser.rest.isEmpty else { return nil }
    root = node
  }

  /// Nil when a name has no integer, the result does not fit, or a divisor is zero.
  package func value(_ lookup: (String) -> Int?) -> Int? { Self.value(root, lookup) }

  private static func value(_ node: Node, _ lookup: (String) -> Int?) -> Int? {
    switch node {
    case .integer(let value): return value
    case .name(let name): return lookup(name)
    case .operation(let symbol, let left, let right):
      guard let a = value(left, lookup), let b = value(right, lookup) else { return nil }
      switch symbol {
      case "+": return checked(a.addingReportingOverflow(b))
      case "-": return checked(a.subtractingReportingOverflow(b))
      case "*": return checked(a.multipliedReportingOverflow(by: b))
      default: return checked(a.dividedReportingOverflow(by: b))
      }
    }
  }

  private static func checked(_ result: (partialValue: Int, overflow: Bool)) -> Int? {
    result.overflow ? nil : result.partialValue
  }

  private struct Parser {
    var rest: Substring

    mutating func sum() -> Node? { chain(of: "+-") { $0.product() } }
    mutating func product() -> Node? { chain(of: "*/") { $0.factor() } }

    mutating func chain(of symbols: String, _ operand: (inout Parser) -> Node?) -> Node? {
      guard var left = operand(&self) else { return nil }
      while let symbol = rest.first, symbols.contains(symbol) {
        rest.removeFirst()
        guard let right = operand(&self) else { return nil }
        left = .operation(symbol, left, right)
      }
      return left
    }

    mutating func factor() -> Node? {
      if rest.first == "(" {
        rest.removeFirst()
        guard let inner = sum(), rest.first == ")" else { return nil }
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
