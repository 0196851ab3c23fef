import Kernels

extension BlockRunner {
  /// out (+)= attention over the source's keys and values.
  func attendAcross(
    _ normed: Matrix, _ cross: CrossAttention, _ layer: Int, _ context: BatchContext, into out: Matrix, accumulate: Bool
  ) {
    let heads = cross.heads
    let query = Matrix(buffers.projected, rows: normed.rows, columns: heads.queryWidth)
    let attended = Matrix(buffers.attended, rows: normed.rows, columns: heads.attendedWidth)
    input.set(normed)
    cross.query.apply(input, into: query, on: processor)
    for segment in context.segments {
      processor.attention(
        AttentionCall(
          query.rows(segment.rows), heads: heads.count, cache: segment.sources[layer], position: 0,
          length: segment.sourceLength, scale: heads.scale, mask: AttentionMask(causal: false),
          into: attended.rows(segment.rows)))
    }
    input.set(attended)
    cross.output.apply(input, into: out, accumulate: accumulate, on: processor)
  }

  /// The keys and values of a source for each layer, of the encoder's final states [tokens, width].
  func sources(of states: Matrix, element: KeyValueCache.Element) -> [KeyValueCache] {
    let input = ProductInput(tokens: states.rows, columns: states.columns)
    input.set(states)
    return (0..<stack.layerCount).compactMap { layer in
      guard let cross = stack.block(ofLayer: layer).crossAttention else { return nil }
      let heads = cross.heads
      let cache = KeyValueCache(
        kvHeads: heads.kvCount, capacity: states.rows, keyDim: heads.keyLength, valueDim: heads.valueLength,
        element: element)
      let both = Matrix(rows: states.rows, columns: heads.keyWidth + heads.valueWidth)
      let key = both.columns(0..<heads.keyWidth)
      let value = both.columns(heads.keyWidth..<both.columns)
      processor.multiply(input, [cross.key.product(into: key), cross.value.product(into: value)])
      processor.append(key, value, to: cache, at: 0)
      return cache
    }
  }
}
