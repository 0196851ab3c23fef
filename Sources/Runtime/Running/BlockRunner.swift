import Catalog
import Glibc
import Kernels

/// Runs a stack's blocks over batches of rows, with buffers that are made once.
///
/// Not for use from several threads at once.
final class BlockRunner {
  let stack: TransformerStack
  let processor: Processor
  let buffers: BlockBuffers
  let input: ProductInput
  let configuration: TransformerConfiguration
  let relative = RelativeWorkspace()
  var routing = ExpertAssignment()

  init(_ stack: TransformerStack, rows: Int, processor: Processor) {
    self.stack = stack
    self.processor = processor
    configuration = stack.configuration
    buffers = BlockBuffers(BufferPlan(stack), rows: rows)
    input = buffers.input
  }

  /// The state of a batch of `rows` tokens. [rows, width]
  func state(rows: Int) -> Matrix { Matrix(buffers.state, rows: rows, columns: configuration.width) }

  /// Passes the state through all blocks. `positions` of the last query: rows of its table, one for each row.
  /// - Returns: the final, normed states, valid until the next batch.
  func run(_ state: Matrix, in context: BatchContext, finalPositions: [Int], observer: ((Int, Matrix) -> Void)?)
    -> Matrix
  {
    for layer in 0..<stack.layerCount {
      run(layer: layer, state, in: context, finalPositions: finalPositions)
      observer?(layer, state)
    }
    return finalNorm(state)
  }

  /// Passes the state through one layer.
  func run(layer: Int, _ state: Matrix, in context: BatchContext, finalPositions: [Int]) {
    if stack.finalQuery != nil, layer == stack.layerCount - 1 {
      stack.outputNorm?.apply(state, into: state, on: processor)
    }
    run(stack.block(ofLayer: layer), layer, state, context, finalPositions)
  }

  /// What the heads read, valid until the next batch.
  func finalNorm(_ state: Matrix) -> Matrix {
    guard let norm = stack.outputNorm, stack.finalQuery == nil else { return state }
    let normed = Matrix(buffers.normed, rows: state.rows, columns: state.columns)
    norm.apply(state, into: normed, on: processor)
    return normed
  }

  private func run(
    _ block: TransformerBlock, _ layer: Int, _ state: Matrix, _ context: BatchContext, _ finalPositions: [Int]
  ) {
    let attention = { (input: Matrix, out: Matrix, accumulate: Bool) in
      let query = self.finalQuery(layer: layer, positions: finalPositions)
      self.attend(input, query: query, block.attention, layer, context, into: out, accumulate: accumulate)
    }
    let feedForward = { (input: Matrix, out: Matrix, accumulate: Bool) in
      self.feedForward(input, block.feedForward, into: out, accumulate: accumulate)
    }
    if configuration.graph.placement == .post {
      runPostNormed(block, layer, state, context, attention, feedForward)
    } else if configuration.graph.residual == .glm {
      let factor = (2 * Float(stack.layerCount)).squareRoot()
      addToNormed(state, block.attentionNorm, factor, attention)
      addToNormed(state, block.feedForwardNorm, factor, feedForward)
    } else if configuration.usesParallelResidual {
      let normed = normed(state, block.attentionNorm, in: buffers.normed)
      // Before attention changes the state.
      let other = block.feedForwardNorm.map { self.normed(state, $0, in: buffers.second) } ?? normed
      add(normed, block.postAttentionNorm, to: state, attention)
      add(other, block.postFeedForwardNorm, to: state, feedForward)
    } else {
      add(normed(state, block.attentionNorm, in: buffers.normed), block.postAttentionNorm, to: state, attention)
      if let cross = block.crossAttention {
        let normed = normed(state, block.crossAttentionNorm, in: buffers.normed)
        add(normed, nil, to: state) { self.attendAcross($0, cross, layer, context, into: $1, accumulate: $2) }
      }
      add(normed(state, block.feedForwardNorm, in: buffers.normed), block.postFeedForwardNorm, to: state, feedForward)
    }
  }

  /// Writes a branch's output, or adds it to what is there.
  private typealias Branch = (_ input: Matrix, _ out: Matrix, _ accumulate: Bool) -> Void

  /// state = norm(state + f(state)), for each part of the block.
  private func runPostNormed(
    _ block: TransformerBlock, _ layer: Int, _ state: Matrix, _ context: BatchContext, _ attention: Branch,
    _ feedForward: Branch
  ) {
    attention(state, state, true)
    block.attentionOutputNorm?.apply(state, into: state, on: processor)
    if let cross = block.crossAttention {
      attendAcross(state, cross, layer, context, into: state, accumulate: true)
      block.crossAttentionOutputNorm?.apply(state, into: state, on: processor)
    }
    feedForward(state, state, true)
    block.layerOutputNorm?.apply(state, into: state, on: processor)
  }

  /// The state's norm, or the state itself where there is none.
  private func normed(_ state: Matrix, _ norm: Norm?, in buffer: Floats) -> Matrix {
    guard let norm else { return state }
    let normed = Matrix(buffer, rows: state.rows, columns: state.columns)
    norm.apply(state, into: normed, on: processor)
    return normed
  }

  /// state += scale · norm(f(input))
  private func add(_ input: Matrix, _ norm: Norm?, to state: Matrix, _ branch: Branch) {
    let scale = Float(configuration.residualScale)
    guard norm != nil || scale != 1 else { return branch(input, state, true) }
    let output = Matrix(buffers.branch, rows: state.rows, columns: state.columns)
    branch(input, output, false)
    norm?.apply(output, into: output, on: processor)
    processor.add(state, output, factor: scale, into: state)
  }

  /// h = norm(state); state = factor · h + f(h)
  private func addToNormed(_ state: Matrix, _ norm: Norm?, _ factor: Float, _ branch: Branch) {
    let normed = normed(state, norm, in: buffers.normed)
    processor.scale(normed, by: factor, into: state)
    branch(normed, state, true)
  }

  /// PanGu-α's rows, in the last layer. [rows, width]
  private func finalQuery(layer: Int, positions: [Int]) -> Matrix? {
    guard let table = stack.finalQuery, layer == stack.layerCount - 1 else { return nil }
    let query = Matrix(buffers.branch, rows: positions.count, columns: table.columns)
    processor.gather(table, rows: positions.map { Int32($0) }[...], into: query)
    return query
  }
}
