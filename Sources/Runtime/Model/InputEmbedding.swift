import Catalog
import Kernels

/// What tokens are before the first block.
struct InputEmbedding: Sendable {
  let tokens: WeightMatrix
  let scale: Float
  /// Tables of vectors that are added, by a token's type, task and position. [rows, embedding width]
  let tokenTypes: Matrix?
  let taskTypes: Matrix?
  let positions: Matrix?
  /// Of position 0 in the table.
  let positionOffset: Int
  let norm: Norm?
  /// From the embeddings' width to the blocks'.
  let projection: Linear?

  /// `tokens`: shared between stacks.
  init(
    tokens: WeightMatrix, _ configuration: TransformerConfiguration, from loader: WeightLoader
  ) throws(RuntimeError) {
    self.tokens = tokens
    scale = Float(configuration.embeddingScale)
    let width = tokens.columns
    tokenTypes = try loader.optionalTable("token_types.weight", columns: width)
    taskTypes = try loader.optionalTable("task_types.weight", columns: width)
    positions = try loader.optionalTable("position_embd.weight", columns: width)
    positionOffset = configuration.positionOffset
    norm = try loader.optionalNorm(
      "token_embd_norm", width: width, kind: configuration.graph.normalization, epsilon: configuration.normEpsilon)
    projection = try loader.optionalLinear("embd_proj", rows: configuration.width, columns: width)
    if projection == nil, width != configuration.width {
      let tensor = try loader.tensor("token_embd.weight")
      throw .misshapen(tensor: tensor.name, found: tensor.shape, expected: "rows of \(configuration.width)")
    }
  }

  var width: Int { tokens.columns }
  /// The most positions, where a table limits them.
  var positionLimit: Int? { positions.map { max(0, $0.rows - positionOffset) } }

  /// Without the tokens' table, which others may share.
  var byteCount: Int {
    [tokenTypes, taskTypes, positions].reduce(0) { $0 + ($1.map { $0.rows * $0.columns * 4 } ?? 0) }
      + (norm?.byteCount ?? 0) + (projection?.byteCount ?? 0)
  }
}

/// Tokens on their way into a stack, with what some families tell about each.
struct InputTokens {
  var ids: [Int]
  /// Rows of the table of positions; without meaning where there is no such table.
  var positions: [Int]
  /// 0 where not given.
  var types: [Int]?
  var tasks: [Int]?

  func part(_ range: Range<Int>) -> InputTokens {
    InputTokens(
      ids: Array(ids[range]), positions: Array(positions[range]), types: types.map { Array($0[range]) },
      tasks: tasks.map { Array($0[range]) })
  }

  /// Another sequence's tokens behind these.
  mutating func append(_ other: InputTokens) {
    types = Self.joined(types, ids.count, other.types, other.ids.count)
    tasks = Self.joined(tasks, ids.count, other.tasks, other.ids.count)
    ids += other.ids
    positions += other.positions
  }

  private static func joined(_ a: [Int]?, _ aCount: Int, _ b: [Int]?, _ bCount: Int) -> [Int]? {
    if a == nil, b == nil { return nil }
    return (a ?? Array(repeating: 0, count: aCount)) + (b ?? Array(repeating: 0, count: bCount))
  }
}

extension InputEmbedding {
  /// A sequence from `position` on, with each token's row in the table of positions.
  func input(_ sequence: EncoderInput, from position: Int) -> InputTokens {
    let first = positionOffset + position
    return InputTokens(
      ids: sequence.ids, positions: Array(first..<first + sequence.ids.count), types: sequence.types,
      tasks: sequence.tasks)
  }

  /// Checks everything that an index is made of.
  func check(_ input: InputTokens) throws(RuntimeError) {
    if let wrong = input.ids.first(where: { !(0..<tokens.rows).contains($0) }) {
      throw .invalidToken(id: wrong, vocabularySize: tokens.rows)
    }
    for (types, table) in [(input.types, tokenTypes), (input.tasks, taskTypes)] {
      guard let types, let table else { continue }
      guard types.count == input.ids.count else { throw .unsupported("types are one for each token") }
      if let wrong = types.first(where: { !(0..<table.rows).contains($0) }) {
        throw .invalidType(id: wrong, count: table.rows)
      }
    }
    if let positions, let last = input.positions.max(), last >= positions.rows {
      throw .contextExceeded(positions: last - positionOffset + 1, capacity: max(0, positions.rows - positionOffset))
    }
  }
}
