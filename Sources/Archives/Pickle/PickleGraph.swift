public import Bytes

/// What a pickle describes, as data: nodes that refer to each other by number. Nothing was imported or called.
///
/// Nodes may be shared and may form cycles: whoever walks the graph bounds the walk.
public struct PickleGraph: Sendable {
  public typealias ID = Int

  public indirect enum Node: Sendable {
    case none
    case bool(Bool)
    case integer(Int)
    /// An integer of more than 64 bits: two's complement, least significant byte first.
    case bigInteger([UInt8])
    case real(Double)
    case text(ByteString)
    case bytes(ByteString)
    /// A long byte string, left where it is in the file.
    case storedBytes(offset: Int, count: Int)
    case tuple([ID])
    case list([ID])
    case set([ID])
    case dictionary([(key: ID, value: ID)])
    case global(module: ByteString, name: ByteString)
    case object(Object)
    /// What the writer keeps outside the pickle, under this name.
    case persistent(ID)
  }

  /// The result of a call that was not made, and what was put into it afterwards.
  public struct Object: Sendable {
    public var callable: ID
    public var arguments: ID
    public var pairs: [(key: ID, value: ID)] = []
    public var elements: [ID] = []
    public var state: ID?
  }

  public internal(set) var nodes: [Node] = []
  public internal(set) var root: ID = 0
  /// After the STOP.
  public internal(set) var endOffset = 0

  public subscript(id: ID) -> Node { nodes[id] }
}

extension PickleGraph {
  public func text(_ id: ID) -> ByteString? {
    switch nodes[id] {
    case .text(let value), .bytes(let value): value
    default: nil
    }
  }

  public func integer(_ id: ID) -> Int? { if case .integer(let value) = nodes[id] { value } else { nil } }

  public func tuple(_ id: ID) -> [ID]? { if case .tuple(let items) = nodes[id] { items } else { nil } }

  /// A tuple or list, or a call with such (`torch.Size`), of integers.
  public func integers(_ id: ID) -> [Int]? {
    switch nodes[id] {
    case .tuple(let items), .list(let items):
      var result: [Int] = []
      for item in items {
        guard let value = integer(item) else { return nil }
        result.append(value)
      }
      return result
    case .object(let object):
      guard case .tuple(let arguments) = nodes[object.arguments], arguments.count == 1, let only = arguments.first
      else { return nil }
      if case .object = nodes[only] { return nil }
      return integers(only)
    default: return nil
    }
  }

  /// `module.name` of a global.
  public func global(_ id: ID) -> String? {
    if case .global(let module, let name) = nodes[id] { "\(module).\(name)" } else { nil }
  }

  /// The callable's `module.name` and the arguments of a call.
  public func call(_ id: ID) -> (callable: String, arguments: [ID])? {
    guard case .object(let object) = nodes[id], let callable = global(object.callable),
      let arguments = tuple(object.arguments)
    else { return nil }
    return (callable, arguments)
  }

  /// The members of a dict, or of a call that makes one (`collections.OrderedDict`).
  public func members(_ id: ID) -> [(key: ID, value: ID)]? {
    switch nodes[id] {
    case .dictionary(let pairs): pairs
    case .object(let object) where global(object.callable) == "collections.OrderedDict": object.pairs
    default: nil
    }
  }
}
