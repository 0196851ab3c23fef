import Glibc
import Kernels

extension BlockRunner {
  /// out (+)= attention(normed). `query`: what queries are made of, where it is something else.
  func attend(
    _ normed: Matrix, query other: Matrix?, _ attention: SelfAttention, _ layer: Int, _ context: BatchContext,
    into out: Matrix, accumulate: Bool
  ) {
    let heads = attention.heads
    let rows = normed.rows
    let projected = Matrix(buffers.projected, rows: rows, columns: attention.projectedWidth)
    let attended = Matrix(buffers.attended, rows: rows, columns: heads.attendedWidth)
    if case .latent(let latent) = attention.projection {
      attend(normed, latent, projected, layer, context, into: attended)
    } else {
      let (query, key, value) = parts(of: projected, attention)
      project(normed, other, attention.projection, projected, query, key, value)
      if let norm = attention.queryNorm { norm.norm.apply(query, parts: norm.parts, into: query, on: processor) }
      if let norm = attention.keyNorm { norm.norm.apply(key, parts: norm.parts, into: key, on: processor) }
      rotate(query, heads: heads.count, length: heads.keyLength, layer, context)
      rotate(key, heads: heads.kvCount, length: heads.keyLength, layer, context)
      lengthenQueries(query, context)
      if let relative = attention.relative {
        attend(query, key, value, relative, heads, layer, context, into: attended)
      } else {
        append(key, value, layer, context)
        attend(query, heads, layer, context, into: attended)
      }
    }
    input.set(attended)
    attention.output.apply(input, into: out, accumulate: accumulate, on: processor)
  }

  /// Where queries, keys and values go: beside each other from a fused product, else one behind the other.
  private func parts(of projected: Matrix, _ attention: SelfAttention) -> (query: Matrix, key: Matrix, value: Matrix) {
    let widths = [attention.heads.queryWidth, attention.heads.keyWidth, attention.heads.valueWidth]
    var parts: [Matrix] = []
    var start = 0
    for width in widths {
      if case .fused = attention.projection {
        parts.append(projected.columns(start..<start + width))
      } else {
        let floats = projected.floats[start * projected.rows..<(start + width) * projected.rows]
        parts.append(Matrix(floats, rows: projected.rows, columns: width))
      }
      start += width
    }
    return (parts[0], parts[1], parts[2])
  }

  private func project(
    _ normed: Matrix, _ other: Matrix?, _ projection: SelfAttention.Projection, _ all: Matrix, _ query: Matrix,
    _ key: Matrix, _ value: Matrix
  ) {
    input.set(normed)
    switch projection {
    case .separate(let queries, let keys, let values):
      guard let other else {
        processor.multiply(
          input, [queries.product(into: query), keys.product(into: key), values.product(into: value)])
        return
      }
      processor.multiply(input, [keys.product(into: key), values.product(into: value)])
      input.set(other)
      queries.apply(input, into: query, on: processor)
    case .fused(let linear): linear.apply(input, into: all, on: processor)
    case .latent: preconditionFailure("latent attention projects in its own way")
    }
  }

  /// Turns every head by its token's position, from the head's element `offset` on.
  func rotate(_ x: Matrix, heads: Int, length: Int, offset: Int = 0, _ layer: Int, _ context: BatchContext) {
    guard let tables = context.rotary else { return }
    let isSliding = configuration.slidingWindow(ofLayer: layer) != nil
    let table = isSliding ? tables.sliding : tables.full
    let pairing: RotaryPairing = configuration.graph.rotary == .halves ? .halves : .neighbours
    processor.rotate(
      x, heads: heads, headDim: length, offset: offset, table: table, positions: context.positions, pairing: pairing)
    guard let block = context.blockPositions else { return }
    processor.rotate(
      x, heads: heads, headDim: length, offset: length / 2, table: table, positions: block, pairing: pairing)
  }

  /// The first Qwen's queries beyond the length it was trained on.
  private func lengthenQueries(_ query: Matrix, _ context: BatchContext) {
    guard let trained = configuration.logarithmicAttentionLength, case .from(let first) = context.positions else {
      return
    }
    for row in 0..<query.rows where first + row + 1 > trained {
      let factor = Float.log(Float(first + row + 1)) / Float.log(Float(trained))
      processor.scale(query.rows(row..<row + 1), by: factor, into: query.rows(row..<row + 1))
    }
  }

  func append(_ key: Matrix, _ value: Matrix, _ layer: Int, _ context: BatchContext) {
    if context.segments.count == 1, let segment = context.segments.first {
      processor.append(key, value, to: segment.cache(ofLayer: layer), at: segment.position)
    } else {
      processor.append(
        context.segments.map {
          AppendCall(key.rows($0.rows), value.rows($0.rows), to: $0.cache(ofLayer: layer), at: $0.position)
        })
    }
  }

  /// Every sequence of the batch over its own keys.
  func attend(
    _ query: Matrix, _ heads: AttentionHeads, _ layer: Int, _ context: BatchContext, into attended: Matrix
  ) {
    let window = configuration.slidingWindow(ofLayer: layer)
    let bias = context.biases.isEmpty ? nil : context.biases[layer]
    let calls = context.segments.flatMap { segment in
      segment.spans.map { span in
        AttentionCall(
          query.rows(span.rows), heads: heads.count, cache: segment.cache(ofLayer: layer), position: span.position,
          length: span.length, scale: heads.scale,
          mask: AttentionMask(causal: span.isCausal, slidingWindow: window),
          softcap: configuration.attentionSoftcap.map(Float.init), bias: bias?.bias(from: span.position),
          into: attended.rows(span.rows))
      }
    }
    if calls.count == 1 { processor.attention(calls[0]) } else { processor.attention(calls) }
  }
}

extension Float {
  fileprivate static func log(_ value: Float) -> Float { Float(Glibc.log(Double(value))) }
}
