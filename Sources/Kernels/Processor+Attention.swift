import CKernels

/// Which keys a query attends to, by absolute positions.
public struct AttentionMask: Sendable {
  /// Only keys at or before the query.
  public var causal: Bool
  /// Only keys less than this many positions before the query.
  public var slidingWindow: Int?

  public init(causal: Bool = true, slidingWindow: Int? = nil) {
    precondition(slidingWindow.map { $0 > 0 } ?? true)
    self.causal = causal
    self.slidingWindow = slidingWindow
  }
}

extension Processor {
  /// Stores the keys and values of `k.rows` tokens from `position` on.
  /// k: [tokens, kvHeads · keyDim]; v: [tokens, kvHeads · valueDim].
  public func append(_ k: Matrix, _ v: Matrix, to cache: KeyValueCache, at position: Int) {
    precondition(k.rows == v.rows && k.columns == cache.kvHeads * cache.keyDim, "the keys have another shape")
    precondition(v.columns == cache.kvHeads * cache.valueDim, "the values have another shape")
    precondition(position >= 0 && position + k.rows <= cache.capacity, "the cache is too small")
    guard k.rows > 0 else { return }
    let arguments = unsafe quern_append(
      cache: cache.arguments, k: k.base, v: v.base, kStride: k.stride, vStride: v.stride, position: position,
      tokens: k.rows)
    let alone = k.rows * (k.columns + v.columns) < Self.grain
    unsafe pool.run(kernels.math.append, arguments, tasks: cache.kvHeads, alone: alone)
  }

  /// out = softmax(q · keysᵀ · scale) · values for each head; heads share the keys of head · kvHeads / heads.
  ///
  /// q: [tokens, heads · keyDim], row t at `position` + t; out: [tokens, heads · valueDim]. `length`: keys present
  /// (position + tokens where not given). `softcap`: scores become cap · tanh(score / cap). Softmax runs over chunks of
  /// 256 keys counted from position 0, so scratch memory is bounded and the batch changes nothing.
  public func attention(
    _ q: Matrix, heads: Int, cache: KeyValueCache, position: Int, length: Int? = nil, scale: Float,
    mask: AttentionMask = AttentionMask(), softcap: Float? = nil, into out: Matrix
  ) {
    let length = length ?? position + q.rows
    precondition(heads % cache.kvHeads == 0 && q.columns == heads * cache.keyDim, "the queries have another shape")
    precondition(out.rows == q.rows && out.columns == heads * cache.valueDim, "the output has another shape")
    precondition(position >= 0 && length >= 0 && length <= cache.capacity, "the cache is too small")
    guard q.rows > 0 else { return }
    let allRows = q.rows * (heads / cache.kvHeads)
    // Enough shares for the threads, but whole tiles while there are enough of those.
    var rowsPerTask = min(allRows, Int(QUERN_ATTENTION_ROWS))
    if pool.threads > 1 {
      let wanted = (allRows * cache.kvHeads + pool.threads * 4 - 1) / (pool.threads * 4)
      let tile = kernels.math.tile
      let even = wanted >= tile ? wanted / tile * tile : wanted
      rowsPerTask = max(1, min(rowsPerTask, even))
    }
    let arguments = unsafe quern_attention(
      cache: cache.arguments, q: q.base, out: out.base, qStride: q.stride, outStride: out.stride, heads: heads,
      tokens: q.rows, position: position, length: length, scale: scale, softcap: softcap ?? 0,
      causal: mask.causal ? 1 : 0, window: mask.slidingWindow ?? 0, rowsPerTask: rowsPerTask)
    let tasks = cache.kvHeads * ((allRows + rowsPerTask - 1) / rowsPerTask)
    // One addition and one multiplication for each element of a key and of a value.
    let work = q.rows * heads * min(length, mask.slidingWindow ?? length) * (cache.keyDim + cache.valueDim)
    unsafe pool.run(kernels.math.attention, arguments, tasks: tasks, alone: work < 8 * Self.grain)
  }
}
