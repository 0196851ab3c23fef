public import Bytes
public import IR

/// The way back: canonical tensors as a container of that family has them.
extension ArchitectureDescriptor {
  /// Tensors as checkpoints of Hugging Face have them, under their published names; those that a model was opened from,
  /// where nothing was done to them.
  /// - Throws: the canonical name of a tensor that has no such form, with the reason.
  public func huggingFaceTensors(
    of model: Model
  ) throws(NamingError) -> [TensorRef] {
    let instances = Dictionary(
      instances(in: model.hyperparameters).map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
    // Stored tensors in the order in which their first part comes, each with the canonical tensors it is made of.
    var order: [ByteString] = []
    var parts:
      [ByteString: [(tensor: TensorRef, instance: TensorInstance, source: TensorInstance.Source, index: Int)]] = [:]
    for tensor in model.tensors {
      guard let instance = instances[tensor.name], let source = instance.sources.first else {
        throw NamingError(name: tensor.name, reason: "it has no name in Hugging Face's checkpoints of this family")
      }
      for (index, name) in source.names.enumerated() {
        if parts[name] == nil { order.append(name) }
        parts[name, default: []].append((tensor, instance, source, index))
      }
    }
    let cache = PanelCache()
    var result: [TensorRef] = []
    for name in order {
      let uses = parts[name] ?? []
      if let origin = Self.origin(named: name, in: uses.map(\.tensor)) {
        result.append(origin)
        continue
      }
      result.append(try Self.assembled(name, uses.map { ($0.tensor, $0.instance, $0.source, $0.index) }, cache))
    }
    return result
  }

  /// The stored tensor itself, when all canonical ones still are what was made of it.
  private static func origin(named name: ByteString, in tensors: [TensorRef]) -> TensorRef? {
    var found: TensorRef?
    for tensor in tensors {
      guard let derived = tensor.source as? DerivedSource,
        let origin = derived.origins.first(where: { $0.sourceName == name })
      else { return nil }
      found = origin
    }
    guard var result = found else { return nil }
    result.name = name
    return result
  }

  private static func assembled(
    _ name: ByteString,
    _ uses: [(tensor: TensorRef, instance: TensorInstance, source: TensorInstance.Source, index: Int)],
    _ cache: PanelCache
  ) throws(NamingError) -> TensorRef {
    var pieces: [(tensor: TensorRef, start: Int, count: Int)] = []
    var group = 0
    var shape = uses[0].source.shape
    for use in uses {
      var tensor = use.tensor
      if use.source.isStack {
        let whole = tensor
        let dimensions = Array(tensor.shape.dimensions.dropFirst())
        guard let one = Shape(dimensions) else {
          throw NamingError(name: tensor.name, reason: "its experts have no shape")
        }
        tensor.shape = one
        tensor.source = LaterRows(whole, offset: use.index * one.rows)
      }
      var selection: (start: Int, count: Int)?
      for step in use.source.transforms.reversed() {
        guard tensor.format.isPlain || step.keepsRows else {
          throw NamingError(
            name: tensor.name, reason: "\(tensor.format.name) cannot be arranged as the checkpoint has it")
        }
        if case .rows(let size, let start, let count) = step {
          group = size
          selection = (start, count)
          continue
        }
        tensor = step.inverse(after: tensor.shape).apply(to: tensor, cache: cache)
      }
      pieces.append((tensor, selection?.start ?? 0, selection?.count ?? 0))
      shape = use.source.shape
    }
    var result = pieces[0].tensor
    if group > 0 {
      pieces.sort { $0.start < $1.start }
      var end = 0
      for piece in pieces {
        guard piece.start == end, piece.tensor.format == result.format else {
          throw NamingError(
            name: name, reason: piece.start == end ? "its parts have different types" : "some of its rows are missing")
        }
        end += piece.count
      }
      guard end == group else { throw NamingError(name: name, reason: "some of its rows are missing") }
      result.source =
        shape.dimensions.count == 1
        ? InterleavedElements(pieces.map { ($0.tensor, $0.count) })
        : InterleavedRows(pieces.map { ($0.tensor, $0.count) })
    }
    if group == 0, result.shape.columns != shape.columns, result.format.isPlain, shape.elementCount > 0 {
      result.source = RewrappedRows(result, rowByteCount: shape.columns * result.format.bytesPerBlock)
    }
    result.name = name
    result.sourceName = name
    result.shape = shape
    return result
  }
}

/// Why a tensor cannot be written as a container's own.
public struct NamingError: Error, CustomStringConvertible {
  public let name: ByteString
  public let reason: String

  public var description: String { "\(name): \(reason)" }
}

extension TensorTransform.Resolved {
  /// Whether rows stay whole, so that packed ones can take the step.
  var keepsRows: Bool {
    switch self {
    case .rows, .regroup: true
    case .transpose, .transposeEach, .add: false
    }
  }
}

extension ArchitectureDescriptor {
  /// Tensors as GGUF files of the family have them, and those that go into the metadata.
  public func ggufTensors(of model: Model) -> (tensors: [TensorRef], metadata: [TensorRef]) {
    let instances = Dictionary(
      instances(in: model.hyperparameters).map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
    let headDimension = model.hyperparameters.integer("attention.key_length") ?? 0
    var tensors: [TensorRef] = []
    var metadata: [TensorRef] = []
    for tensor in model.tensors {
      var result = tensor
      result.sourceName = tensor.name
      guard let instance = instances[tensor.name] else {
        tensors.append(result)
        continue
      }
      if ggufRotaryOrder == .pairs, instance.rule.hasRotaryHeads {
        result = result.reorderedHeads(to: .pairs, headDimension: headDimension)
      }
      switch instance.rule.gguf {
      case .metadata: metadata.append(result)
      case .tensor:
        let row = instance.rowsWithoutGGUF(in: model.hyperparameters)
        if row > 0 {
          let whole = result
          result.shape = .matrix(rows: tensor.shape.rows - row, columns: tensor.shape.columns)
          result.source = LaterRows(whole, offset: row)
        }
        tensors.append(result)
      }
    }
    return (tensors, metadata)
  }

  /// Hyperparameters as a GGUF file of the family says them: under llama.cpp's keys, and under `quern.` what it has no key
  /// for and what the file's other values do not tell.
  public func ggufMetadata(of hyperparameters: Hyperparameters) -> [Metadata.Entry] {
    guard let architecture = ggufArchitecture else { return [] }
    var result: [Metadata.Entry] = []
    var known = Hyperparameters()
    // llama.cpp takes Llama 3's scaling from rope_freqs.weight and refuses its name, like every other it does not know.
    let scaling = hyperparameters.string("rope.scaling.type") ?? "none"
    let hidesScaling = !["none", "linear", "yarn", "longrope"].contains(scaling)
    for rule in self.hyperparameters {
      defer { if let value = hyperparameters[rule.name] { known[rule.name] = value } }
      guard let value = hyperparameters[rule.name], value != rule.omitted, let entry = rule.metadata(value)
      else { continue }
      if let key = rule.ggufKeys(architecture).first, !(hidesScaling && rule.name.hasPrefix("rope.scaling.")) {
        result.append(.init(key: ByteString(key), value: entry))
      } else if !isDerived(rule, value, known: known) {
        result.append(.init(key: ByteString("quern.\(rule.name)"), value: entry))
      }
    }
    result += ggufConstants.map { .init(key: ByteString("\(architecture).\($0.key)"), value: $0.value) }
    return result
  }

  /// Whether a reader of the GGUF file would find the value by itself.
  private func isDerived(_ rule: HyperparameterRule, _ value: Hyperparameters.Value, known: Hyperparameters) -> Bool {
    switch rule.ggufFallback ?? rule.fallback {
    case .present, .absent, .axis: true
    case .required, .none: false
    case .value(let fallback): fallback == value
    case .expression(let expression):
      expression.value(known.symbols()).map {
        .integer($0) == value || .bool($0 != 0) == value || .number(Double($0)) == value
      }
        ?? false
    case .inverseSquareRoot(let expression):
      expression.value(known.symbols()).map { $0 > 0 && .number(1 / Double($0).squareRoot()) == value } ?? false
    case .product(let name, let factor): known.number(name).map { .number($0 * factor) == value } ?? false
    case .squareRoot(let expression):
      expression.value(known.symbols()).map { .number(Double($0).squareRoot()) == value } ?? false
    }
  }

  /// The members of config.json that say the hyperparameters.
  public func configuration(of hyperparameters: Hyperparameters) -> [(path: String, value: JSONValue)] {
    self.hyperparameters.compactMap { rule in
      guard let value = hyperparameters[rule.name], value != rule.omitted else { return nil }
      if let path = rule.huggingFace.first { return rule.json(value, in: hyperparameters).map { (path, $0) } }
      guard let share = rule.share, let path = share.huggingFace.first, case .integer(let part) = value,
        let whole = share.whole.value(hyperparameters.symbols()), whole > 0,
        !isDerived(rule, value, known: hyperparameters)
      else { return nil }
      return (path, .number(JSONNumber(Double(part) / Double(whole))))
    }
  }
}

extension HyperparameterRule {
  /// As GGUF has it, with the widths that llama.cpp's own converter writes.
  func metadata(_ value: Hyperparameters.Value) -> MetadataValue? {
    switch value {
    case .integer(let value):
      let (stated, overflow) = value.multipliedReportingOverflow(by: multiple)
      return overflow ? nil : UInt32(exactly: stated).map { .uint32($0) }
    case .number(let value): return .float32(Float(value))
    case .bool(let value): return .bool(value)
    case .string(let value):
      if let code = ggufCodes[value] { return .uint32(UInt32(code)) }
      return .string(ByteString(value))
    case .integers(let values): return .array(.int32(values.map { Int32(clamping: $0) }))
    case .numbers(let values): return .array(.float32(values.map { Float($0) }))
    }
  }

  /// As config.json has it.
  func json(_ value: Hyperparameters.Value, in hyperparameters: Hyperparameters) -> JSONValue? {
    switch value {
    case .integer(let value):
      return .integer(value * multiple + (surplus?.value(hyperparameters.symbols()) ?? 0))
    case .number(let value):
      let stated = isInverseRoot ? (1 / (value * value)).rounded(toDecimals: 6) : value
      // GGUF keeps F32: the shortest decimal that names it is what the original said.
      return .number(Float(exactly: stated).map { JSONNumber(literal: $0.description) } ?? JSONNumber(stated))
    case .bool(let value): return .bool(value)
    case .string(let value): return spellings[value] ?? .text(value)
    case .integers(let values) where type == .layerSet:
      return .array(values.indices.filter { values[$0] != 0 }.map { .integer($0) })
    case .integers(let values):
      return .array(
        values.map { value in
          renames.filter { $0.value == .integer(value) }.keys.min().map { .text($0) } ?? .integer(value)
        })
    case .numbers(let values): return .array(values.map { .number(JSONNumber($0)) })
    }
  }
}

extension Double {
  fileprivate func rounded(toDecimals count: Int) -> Double {
    let scale = Double((0..<count).reduce(1) { product, _ in product * 10 })
    return (self * scale).rounded() / scale
  }
}
