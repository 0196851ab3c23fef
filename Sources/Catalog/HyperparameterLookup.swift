internal import Bytes
import IR

/// Typed access to hyperparameters that names what is missing or impossible.
struct HyperparameterLookup {
  let values: Hyperparameters

  /// A required integer above zero.
  func positive(_ name: String) throws(CatalogError) -> Int {
    guard let value = values.integer(name) else { throw .missingHyperparameter(name: name, keys: [name]) }
    guard value > 0 else { throw .invalidHyperparameter(name: name, key: name, found: "\(value)") }
    return value
  }

  /// An integer above zero, or the neutral value when it is absent or 0.
  func count(_ name: String, default fallback: Int) throws(CatalogError) -> Int {
    guard let value = values.integer(name), value != 0 else { return fallback }
    guard value > 0 else { throw .invalidHyperparameter(name: name, key: name, found: "\(value)") }
    return value
  }

  /// A finite number, or the neutral value when it is absent.
  func number(_ name: String, default fallback: Double) throws(CatalogError) -> Double {
    guard let value = values.number(name) else { return fallback }
    guard value.isFinite else { throw .invalidHyperparameter(name: name, key: name, found: "\(value)") }
    return value
  }

  /// Nil when it is absent or 0, which stand for none.
  func limit(_ name: String) throws(CatalogError) -> Double? {
    let value = try number(name, default: 0)
    guard value >= 0 else { throw .invalidHyperparameter(name: name, key: name, found: "\(value)") }
    return value > 0 ? value : nil
  }

  /// One of an enumeration's spellings; refused by name otherwise.
  func option<Option: RawRepresentable>(_ name: String, default fallback: Option) throws(CatalogError) -> Option
  where Option.RawValue == String {
    guard let text = values.string(name), !text.isEmpty else { return fallback }
    guard let value = Option(rawValue: text) else {
      throw .invalidHyperparameter(name: name, key: name, found: "'\(text)'")
    }
    return value
  }

  /// A list of numbers, however they are stored.
  func numbers(_ name: String) -> [Double]? {
    switch values[name] {
    case .numbers(let list): list
    case .integers(let list): list.map(Double.init)
    default: nil
    }
  }
}
