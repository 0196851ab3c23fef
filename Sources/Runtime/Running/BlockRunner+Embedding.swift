import Kernels

extension BlockRunner {
  /// Writes what the tokens are before the first block. state: [tokens, width]
  func embed(_ tokens: InputTokens, into state: Matrix) {
    let embedding = stack.embedding
    let count = tokens.ids.count
    let target =
      embedding.projection == nil ? state : Matrix(buffers.embedded, rows: count, columns: embedding.width)
    look(up: tokens.ids, in: embedding.tokens, into: target)
    if embedding.scale != 1 { processor.scale(target, by: embedding.scale, into: target) }
    if let types = embedding.tokenTypes { add(types, rows: tokens.types, to: target) }
    if let positions = embedding.positions { add(positions, rows: tokens.positions, to: target) }
    if let tasks = embedding.taskTypes { add(tasks, rows: tokens.tasks, to: target) }
    embedding.norm?.apply(target, into: target, on: processor)
    if let projection = embedding.projection {
      input.set(target)
      projection.apply(input, into: state, on: processor)
    }
  }

  private func look(up ids: [Int], in tokens: WeightMatrix, into target: Matrix) {
    // A row of a panel is as many cache lines as columns: worth sharing.
    let rowsPerTask = 16
    guard ids.count > rowsPerTask else {
      for (row, id) in ids.enumerated() { tokens.read(row: id, into: target[row]) }
      return
    }
    processor.pool.run(tasks: (ids.count + rowsPerTask - 1) / rowsPerTask) { task in
      for row in task * rowsPerTask..<min((task + 1) * rowsPerTask, ids.count) {
        tokens.read(row: ids[row], into: target[row])
      }
    }
  }

  /// target += table[rows], row by row; rows nil: all 0.
  private func add(_ table: Matrix, rows: [Int]?, to target: Matrix) {
    let first = rows?.first ?? 0
    guard let rows, !rows.allSatisfy({ $0 == first }) else {
      return processor.addBias(target, table[first], into: target)
    }
    let added = Matrix(buffers.added, rows: target.rows, columns: target.columns)
    processor.gather(table, rows: rows.map { Int32($0) }[...], into: added)
    processor.add(target, added, into: target)
  }
}
