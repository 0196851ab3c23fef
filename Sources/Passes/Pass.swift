public import Bytes
public import IR

/// One named step from model to model. It rearranges lazy tensors; it computes nothing and opens no file.
public protocol Pass: Sendable {
  var name: String { get }
  /// What must hold before.
  func requires(_ model: Model) throws(PassError)
  func run(_ model: Model) throws(PassError) -> Model
  /// What must hold after.
  func ensures(_ result: Model, from model: Model) throws(PassError)
}

/// A pass that cannot be done, or that broke its own promise.
public struct PassError: Error, Hashable, Sendable, CustomStringConvertible {
  public let pass: String
  public let tensor: ByteString?
  public let problem: String

  public init(pass: String, tensor: ByteString? = nil, problem: String) {
    self.pass = pass
    self.tensor = tensor
    self.problem = problem
  }

  public var description: String { "\(pass): \(tensor.map { "tensor \($0): " } ?? "")\(problem)" }
}

/// Passes in order, each checked before and after.
public struct Pipeline: Sendable {
  public var passes: [any Pass]

  public init(_ passes: [any Pass]) { self.passes = passes }

  public func run(_ model: Model) throws(PassError) -> Model {
    var current = model
    for pass in passes {
      try pass.requires(current)
      let next = try pass.run(current)
      try Self.validate(next, after: pass.name)
      try pass.ensures(next, from: current)
      current = next
    }
    return current
  }

  /// What holds for every model: unique names, rows of whole blocks.
  private static func validate(_ model: Model, after pass: String) throws(PassError) {
    var names: Set<ByteString> = []
    for tensor in model.tensors {
      guard names.insert(tensor.name).inserted else {
        throw PassError(pass: pass, tensor: tensor.name, problem: "stands twice")
      }
      guard tensor.format.byteCount(elements: tensor.shape.columns) != nil else {
        throw PassError(
          pass: pass, tensor: tensor.name,
          problem: "rows of \(tensor.shape.columns) do not fill \(tensor.format.name) blocks")
      }
    }
  }
}
