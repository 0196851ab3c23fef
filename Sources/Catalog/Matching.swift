public import Bytes
public import IR

extension ArchitectureDescriptor {
  /// Who named the tensors.
  public enum Naming: Sendable {
    case huggingFace
    /// GGUF's names, which are the canonical ones.
    case gguf
  }

  /// Shapes of stored tensors under the canonical names of all that are made of them, as far as names tell: what defaults
  /// of hyperparameters ask for. Shapes are the stored ones.
  public func storedShapes(_ tensors: [TensorRef], naming: Naming) -> [ByteString: Shape] {
    var result: [ByteString: Shape] = [:]
    for tensor in tensors {
      if naming == .gguf {
        result[tensor.sourceName] = tensor.shape
        continue
      }
      for rule in self.tensors {
        for source in rule.huggingFace {
          guard let layer = source.pattern.layerNumber(in: tensor.sourceName) else { continue }
          result[rule.name.name(layer: layer)] = tensor.shape
          break
        }
      }
    }
    return result
  }

  /// Gives every stored tensor its canonical name, shape and order, and accounts for all of them.
  /// - Throws: `leftovers` with all differences when the tensors are not exactly the family's.
  public func match(
    _ stored: [TensorRef], naming: Naming, hyperparameters: Hyperparameters
  ) throws(CatalogError) -> (tensors: [TensorRef], report: MatchReport) {
    var report = MatchReport()
    var positions: [ByteString: Int] = [:]
    for (position, tensor) in stored.enumerated() {
      if positions.updateValue(position, forKey: tensor.sourceName) != nil {
        report.unexpected.append(tensor.sourceName)
      }
    }
    var used = [Bool](repeating: false, count: stored.count)
    var made: [(position: Int, tensor: TensorRef)] = []
    let cache = PanelCache()
    for instance in instances(in: hyperparameters) {
      let ways = naming == .gguf ? [instance.ggufSource(in: hyperparameters)] : instance.sources
      // The way of which most is there: all of it, in a good file.
      let counts = ways.map { way in way.names.count { positions[$0] != nil } }
      guard
        let best = ways.indices.first(where: { counts[$0] == ways[$0].names.count })
          ?? ways.indices.first(where: { counts[$0] > 0 }) ?? ways.indices.first
      else {
        report.missing.append(instance.name)
        continue
      }
      let way = ways[best]
      var parts: [TensorRef] = []
      for name in way.names {
        guard let position = positions[name] else {
          report.missing.append(name)
          continue
        }
        used[position] = true
        let tensor = stored[position]
        if tensor.shape != way.shape {
          report.mismatched.append(.init(name: name, expected: way.shape, found: tensor.shape))
        } else if let first = parts.first, first.format != tensor.format {
          report.unlike.append(name)
        } else {
          parts.append(tensor)
        }
      }
      guard parts.count == way.names.count, let position = positions[way.names[0]] else { continue }
      var tensor = way.canonical(parts, instance, cache: cache)
      if naming == .gguf {
        tensor = canonicalOrder(tensor, instance, hyperparameters)
        let missing = instance.rowsWithoutGGUF(in: hyperparameters)
        if missing > 0 { tensor.source = Self.behindZeros(parts[0], rows: missing) }
      }
      made.append((position, tensor))
    }
    for (position, tensor) in stored.enumerated() {
      if used[position] {
        report.consumed.append(tensor.sourceName)
      } else if let rule = ignored.first(where: {
        $0.covers(tensor.sourceName, naming: naming, hyperparameters: hyperparameters)
      }) {
        report.ignored.append(.init(name: tensor.sourceName, rule: rule.reason))
      } else if positions[tensor.sourceName] == position {
        report.unexpected.append(tensor.sourceName)
      }
    }
    if !report.problems.isEmpty { throw .leftovers(report) }
    // Stable: parts of one stored tensor keep the descriptor's order.
    let order = made.indices.sorted { (made[$0].position, $0) < (made[$1].position, $1) }
    return (order.map { made[$0].tensor }, report)
  }

  private func canonicalOrder(
    _ tensor: TensorRef, _ instance: TensorInstance, _ hyperparameters: Hyperparameters
  ) -> TensorRef {
    guard instance.rule.hasRotaryHeads, ggufRotaryOrder == .pairs,
      let headDimension = hyperparameters.integer("attention.key_length")
    else { return tensor }
    return tensor.reorderedHeads(to: .halves, headDimension: headDimension)
  }
}

extension ArchitectureDescriptor {
  /// Rows of padding, which nothing reads, and those of a GGUF file.
  private static func behindZeros(_ stored: TensorRef, rows: Int) -> any TensorSource {
    let byteCount = stored.rowByteCount
    var zeros = stored
    zeros.shape = .matrix(rows: rows, columns: stored.shape.columns)
    zeros.source = MemoryTensorSource(bytes: [UInt8](repeating: 0, count: rows * byteCount), rowByteCount: byteCount)
    return ConcatenatedRows([zeros, stored])
  }
}

extension TensorInstance {
  /// How GGUF files store it.
  func ggufSource(in hyperparameters: Hyperparameters) -> Source {
    let missing = rowsWithoutGGUF(in: hyperparameters)
    let stored = missing > 0 ? Shape.matrix(rows: shape.rows - missing, columns: shape.columns) : shape
    return Source(names: [name], shape: stored, transforms: [], isStack: false)
  }

  /// Leading rows that GGUF files leave out (RoBERTa's positions of padding).
  func rowsWithoutGGUF(in hyperparameters: Hyperparameters) -> Int {
    guard case .tensor(let firstRow?) = rule.gguf,
      let row = firstRow.value(hyperparameters.symbols(layer: layer)), row > 0, row < shape.rows
    else { return 0 }
    return row
  }
}
