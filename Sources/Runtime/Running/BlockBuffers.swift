import Catalog
import Kernels

/// Floats for each row that a stack's blocks need beside the state. What no block needs is 0.
struct BufferPlan {
  let width: Int
  /// Norm of the feed-forward where it runs beside attention.
  var second = 0
  /// A branch's output before it is normed or scaled; the last query of PanGu-α.
  var branch = 0
  var projected = 0
  var attended = 0
  var queryDown = 0
  var absorbed = 0
  var latentAttended = 0
  /// Queries with the biases of relative attention.
  var biasedQuery = 0
  var hidden = 0
  var router = 0
  /// Rows of an expert's tokens, and its output.
  var expertRows = 0
  var expertHidden = 0
  /// Embeddings before the projection, and vectors on their way to being added.
  var embedded = 0
  var added = 0
  /// Rows that one token's experts need.
  var expertsOfOne = 1
  /// The widest input of a product.
  var widest: Int

  init(_ stack: TransformerStack) {
    let configuration = stack.configuration
    width = configuration.width
    widest = width
    func room(_ path: WritableKeyPath<BufferPlan, Int>, _ count: Int) {
      self[keyPath: path] = max(self[keyPath: path], count)
    }
    for block in stack.blocks {
      let attention = block.attention
      room(\.projected, attention.projectedWidth)
      room(\.attended, attention.heads.attendedWidth)
      room(\.widest, attention.heads.attendedWidth)
      if case .latent(let latent) = attention.projection {
        room(\.queryDown, latent.queryDown?.rows ?? 0)
        room(\.widest, latent.queryDown?.rows ?? 0)
        room(\.absorbed, latent.heads.queryWidth)
        room(\.latentAttended, latent.heads.count * latent.heads.valueLength)
        room(\.widest, max(latent.plainLength, latent.latentLength))
      }
      if attention.relative != nil { room(\.biasedQuery, 2 * attention.heads.queryWidth) }
      if let cross = block.crossAttention {
        room(\.projected, max(cross.heads.queryWidth, cross.heads.keyWidth + cross.heads.valueWidth))
      }
      if configuration.usesParallelResidual, block.feedForwardNorm != nil { room(\.second, width) }
      if block.postAttentionNorm != nil || block.postFeedForwardNorm != nil || configuration.residualScale != 1 {
        room(\.branch, width)
      }
      switch block.feedForward {
      case .dense(let dense):
        room(\.hidden, dense.hiddenWidth)
        room(\.widest, dense.innerWidth)
      case .experts(let experts):
        room(\.router, experts.routing.count)
        room(\.expertRows, 2 * width)
        room(\.expertHidden, 2 * experts.innerWidth)
        room(\.widest, experts.innerWidth)
        room(\.expertsOfOne, experts.routing.usedCount)
        if let shared = experts.shared {
          room(\.hidden, shared.hiddenWidth)
          room(\.widest, shared.innerWidth)
          if experts.sharedGate != nil { room(\.branch, width) }
        }
      }
    }
    if stack.finalQuery != nil { room(\.branch, width) }
    let embedding = stack.embedding
    if embedding.projection != nil {
      embedded = embedding.width
      room(\.widest, embedding.width)
    }
    if embedding.positions != nil || embedding.tokenTypes != nil || embedding.taskTypes != nil {
      added = embedding.width
    }
  }

  /// With the state itself.
  var floatsPerRow: Int {
    2 * width + second + branch + projected + attended + queryDown + absorbed + latentAttended + biasedQuery + hidden
      + router + expertRows + expertHidden + embedded + added
  }
}

/// Buffers for a number of rows, made once.
final class BlockBuffers {
  let plan: BufferPlan
  let rows: Int
  let state: Floats
  let normed: Floats
  let second: Floats
  let branch: Floats
  let projected: Floats
  let attended: Floats
  let queryDown: Floats
  let absorbed: Floats
  let latentAttended: Floats
  let biasedQuery: Floats
  let hidden: Floats
  let router: Floats
  let expertRows: Floats
  let expertHidden: Floats
  let embedded: Floats
  let added: Floats
  let input: ProductInput

  init(_ plan: BufferPlan, rows: Int) {
    self.plan = plan
    self.rows = rows
    let expertRowCount = max(rows, plan.expertsOfOne)
    state = Floats(count: rows * plan.width)
    normed = Floats(count: rows * plan.width)
    second = Floats(count: rows * plan.second)
    branch = Floats(count: rows * plan.branch)
    projected = Floats(count: rows * plan.projected)
    attended = Floats(count: rows * plan.attended)
    queryDown = Floats(count: rows * plan.queryDown)
    absorbed = Floats(count: rows * plan.absorbed)
    latentAttended = Floats(count: rows * plan.latentAttended)
    biasedQuery = Floats(count: rows * plan.biasedQuery)
    hidden = Floats(count: rows * plan.hidden)
    router = Floats(count: rows * plan.router)
    expertRows = Floats(count: expertRowCount * plan.expertRows)
    expertHidden = Floats(count: expertRowCount * plan.expertHidden)
    embedded = Floats(count: rows * plan.embedded)
    added = Floats(count: rows * plan.added)
    input = ProductInput(tokens: rows, columns: plan.widest)
  }
}
